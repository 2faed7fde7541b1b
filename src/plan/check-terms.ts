import { OrbweaverError } from '../errors.js';
import type { Reconstruction, Term } from './types.js';

/** Where the last term of an earlier response lies in the file. */
export interface PlacedTerm {
  readonly term: Term;
  readonly fileStart: number;
}

/** The bytes that a reconstruction was asked for, and what is known of their neighbourhood. */
export interface AskedBytes {
  readonly start: number;
  /** May lie behind the end of the file. */
  readonly end: number;
  /** The last term before `start`, when an earlier response of this file ended there. */
  readonly previous?: PlacedTerm | undefined;
}

/** Bytes of the output of a reconstruction. */
export function outputBytesOf({ offsetIntoFirstTerm, terms }: Reconstruction): number {
  return terms.reduce((sum, term) => sum + term.unpackedBytes, -offsetIntoFirstTerm);
}

/**
 * Checks `offset_into_first_range` and the terms against the bytes that were asked, as far as lengths
 * tell: a wrong offset shifts every byte of a range, and no byte of it looks wrong.
 *
 *     asked        |start ............ end|
 *     terms     [ first ][ ... ][ last ]          every term holds a byte that was asked for
 *               |offset|
 *
 * - at the start of a file nothing is dropped;
 * - the first and the last term hold bytes that were asked for;
 * - where the response before this one ended is known, so is where the first term starts: if it is the
 *   same term, or if it follows that one.
 *
 * What is left: the offset of a range in the middle of a file, when it is wrong by so little that
 * the first and the last term stay the same. Only a proof (known chunk hashes) finds that.
 *
 * @throws OrbweaverError `PROTOCOL`
 */
export function checkTerms(
  { offsetIntoFirstTerm, terms }: Reconstruction,
  { start, end, previous }: AskedBytes,
): void {
  const first = terms[0];
  const last = terms.at(-1);
  if (first === undefined || last === undefined) return;
  const expected = expectedOffset(start, first, previous);
  if (expected !== null && offsetIntoFirstTerm !== expected) {
    throw wrong('offset_into_first_range', `${expected} at byte ${start}`, offsetIntoFirstTerm);
  }
  if (offsetIntoFirstTerm >= first.unpackedBytes) {
    const limit = `less than the ${first.unpackedBytes} bytes of the first term`;
    throw wrong('offset_into_first_range', limit, offsetIntoFirstTerm);
  }
  let lastStart = start - offsetIntoFirstTerm;
  for (const term of terms) if (term !== last) lastStart += term.unpackedBytes;
  if (lastStart >= end) {
    throw wrong(`terms[${terms.length - 1}]`, `a term that starts before byte ${end}`, lastStart);
  }
}

/** Null: not known. */
function expectedOffset(
  start: number,
  first: Term,
  previous: PlacedTerm | undefined,
): number | null {
  if (start === 0) return 0;
  if (previous === undefined) return null;
  const { term, fileStart } = previous;
  const isSameXorb = first.xorb.equals(term.xorb);
  if (isSameXorb && first.chunkStart === term.chunkStart && fileStart < start) {
    // The same term again, or a repeat of it that follows: the length tells which.
    return fileStart + term.unpackedBytes > start ? start - fileStart : null;
  }
  // A server may drop chunks from the start of a term: then it may be the same one.
  const isRest = isSameXorb && first.chunkStart > term.chunkStart;
  return isRest || fileStart + term.unpackedBytes > start ? null : 0;
}

function wrong(field: string, expected: string, got: number): OrbweaverError {
  const message = `"${field}" expected ${expected}, got ${got}`;
  return new OrbweaverError('PROTOCOL', message, { field, got });
}
