import { OrbweaverError } from '../errors.js';

/** Readers for what a Hub says: a field that is missing is told by its name. */

export type JsonObject = Readonly<Record<string, unknown>>;

/** An object, or null for anything else. */
export function objectOf(value: unknown): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as JsonObject)
    : null;
}

/** The objects of a list. @throws OrbweaverError `FORMAT_INVALID` when it is no list */
export function objectsOf(value: unknown, what: string): readonly JsonObject[] {
  if (!Array.isArray(value)) throw wrong(`${what} expected a list from the Hub`);
  return value.map((each) => objectOf(each) ?? {});
}

/** A text. @throws OrbweaverError `FORMAT_INVALID` */
export function textOf(object: JsonObject | null, name: string, what: string): string {
  const value = object?.[name];
  if (typeof value === 'string') return value;
  throw wrong(`${what} expected a text "${name}" from the Hub`);
}

/** A size in bytes. @throws OrbweaverError `FORMAT_INVALID` */
export function sizeOf(object: JsonObject | null, name: string, what: string): number {
  const value = object?.[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrong(`${what} expected a size "${name}" from the Hub`);
}

/** 64 hexadecimal digits, lower case; null for anything else. */
export function hashOf(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{64}$/i.test(value) ? value.toLowerCase() : null;
}

function wrong(message: string): OrbweaverError {
  return new OrbweaverError('FORMAT_INVALID', message);
}
