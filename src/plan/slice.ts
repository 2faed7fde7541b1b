import type { Term } from './types.js';

/** The terms that hold a byte range, as a reconstruction response lists them. */
export interface SlicedTerms {
  /** Bytes to drop at the start of the first term. */
  readonly offsetIntoFirstTerm: number;
  /** The terms that overlap the range, whole. Empty when the range lies past the end. */
  readonly terms: readonly Term[];
}

/**
 * Terms that overlap bytes `[start, end)` of the file that `terms` describe. An `end` past the
 * file is fine. Terms stay whole: a reader drops the head by the offset and clips the tail itself.
 *
 * @example
 * const { offsetIntoFirstTerm, terms } = sliceTerms(file.terms, 1_000_000, 2_000_000);
 */
export function sliceTerms(terms: readonly Term[], start: number, end: number): SlicedTerms {
  let position = 0;
  let first = -1;
  let offset = 0;
  let last = 0;
  for (const [index, term] of terms.entries()) {
    if (position >= end) break;
    const termEnd = position + term.unpackedBytes;
    if (first < 0 && termEnd > start) {
      first = index;
      offset = start - position;
    }
    position = termEnd;
    last = index + 1;
  }
  if (first < 0 || start >= end) return { offsetIntoFirstTerm: 0, terms: [] };
  return { offsetIntoFirstTerm: offset, terms: terms.slice(first, last) };
}
