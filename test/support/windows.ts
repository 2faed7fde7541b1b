import {
  type ByteSpan,
  type ChunkerParams,
  createWindowScanner,
  DEFAULT_PARAMS,
} from '../../src/chunker/index.js';

/** The windows of the scanner over a list of all chunks of a file. */
export function dirtyWindows(
  chunkLengths: ArrayLike<number>,
  dirty: readonly ByteSpan[],
  params: ChunkerParams = DEFAULT_PARAMS,
): ByteSpan[] {
  const scanner = createWindowScanner(dirty, params);
  for (const length of Array.from(chunkLengths)) scanner.push(length);
  return [...scanner.windows];
}

/**
 * First cut behind `position` from which on all cuts stay the same, whatever happens to the bytes before
 * it; null when the list of all cuts proves none. It is where a window over those bytes closes.
 */
export function nextStableBoundary(
  position: number,
  cuts: ArrayLike<number>,
  params: ChunkerParams = DEFAULT_PARAMS,
): number | null {
  const scanner = createWindowScanner([{ start: 0, end: Math.max(1, position) }], params);
  let start = 0;
  for (const cut of Array.from(cuts)) {
    scanner.push(cut - start);
    start = cut;
  }
  const [window] = scanner.windows;
  if (window === undefined || scanner.push(1) !== 'outside') return null;
  return window.end;
}
