import type { Body } from '../../http/index.js';
import { bytesOf } from './fetch.js';

/** Smaller bodies are given to `fetch` as they are. */
const BLOB_LEAST_BYTES: number = 1024 * 1024;
/** A piece of a blob: what the thread of the page copies without a pause. */
const PIECE_BYTES: number = 2 * 1024 * 1024;

/**
 * A body as `fetch` of a page takes it at the least cost. Bytes in memory are copied at once, some hundred
 * milliseconds for a xorb in which nothing else happens in the page; a blob is not copied, and what it is
 * made of lies in another process.
 */
export async function pageBody(body: Body): Promise<Uint8Array<ArrayBuffer> | Blob> {
  const { sizeBytes = 0 } = body;
  if (sizeBytes < BLOB_LEAST_BYTES) return bytesOf(body);
  const parts: Blob[] = [];
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < sizeBytes; ) {
    const filled = await fillAll(body, piece.subarray(0, sizeBytes - at));
    parts.push(new Blob([piece.subarray(0, filled)]));
    at += filled;
  }
  // The end has to be asked for as well: it is when the body is known to be sent.
  await body.fill(new Uint8Array(1));
  return new Blob(parts);
}

async function fillAll(body: Body, into: Uint8Array): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const count = await body.fill(into.subarray(filled));
    if (count === 0) throw new Error('the body ended early');
    filled += count;
  }
  return filled;
}
