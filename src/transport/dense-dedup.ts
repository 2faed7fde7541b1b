import type { DenseDedup } from '../client/ports.js';
import type { HttpHeaders } from '../http/index.js';

/**
 * A server that takes questions about many chunks says so with each of its responses:
 *
 *     x-orbweaver-dedup: one-in=64, max-chunks=256
 *
 * It is believed within limits only; anything else is a server that takes none.
 */
const HEADER = 'x-orbweaver-dedup';
const FORM = /^one-in=(\d{1,4}), max-chunks=(\d{1,6})$/;
/** More would make questions of more than 64 KiB. */
const MOST_CHUNKS = 1024;

/** What a response announces; null: nothing. */
export function announcedDense(headers: HttpHeaders): DenseDedup | null {
  const found = FORM.exec(headers[HEADER] ?? '');
  if (found === null) return null;
  const [oneIn, maxChunks] = [Number(found[1]), Number(found[2])];
  const isPower = oneIn >= 1 && oneIn <= 1024 && Number.isInteger(Math.log2(oneIn));
  if (!isPower || maxChunks < 1) return null;
  return { oneIn, maxChunks: Math.min(maxChunks, MOST_CHUNKS) };
}
