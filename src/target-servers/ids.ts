import { randomBytes, randomInt } from 'node:crypto';

/** Names as the imitated systems make them. */

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Letters and digits (base 62). */
export function textId(length: number): string {
  return Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

/** Digits only. */
export function digitId(length: number): string {
  return Array.from({ length }, () => randomInt(10)).join('');
}

/** Random bytes in hex; twice as many characters. */
export function hexId(lengthBytes: number): string {
  return randomBytes(lengthBytes).toString('hex');
}
