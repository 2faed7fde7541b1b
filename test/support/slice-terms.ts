import type { Term } from '../../src/plan/index.js';

/** What a server lists for bytes `[start, end)` of a file: whole terms, and what to drop of the first one. */
export function sliceTerms(
  terms: readonly Term[],
  start: number,
  end: number,
): { readonly offsetIntoFirstTerm: number; readonly terms: readonly Term[] } {
  let position = 0;
  let offset = 0;
  const sliced: Term[] = [];
  for (const term of terms) {
    const termEnd = position + term.unpackedBytes;
    if (position < end && termEnd > start && start < end) {
      if (sliced.length === 0) offset = start - position;
      sliced.push(term);
    }
    position = termEnd;
  }
  return { offsetIntoFirstTerm: offset, terms: sliced };
}
