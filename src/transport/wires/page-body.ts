import type { Body } from '../../http/index.js';
import { WORD_BYTES } from '../../platform/index.js';
import { bytesOf } from './fetch.js';

/** Smaller bodies are given to `fetch` as they are. */
const BLOB_LEAST_BYTES: number = 1024 * 1024;
/** A piece of a blob: what the thread of the page copies without a pause. */
const PIECE_BYTES: number = 2 * 1024 * 1024;
/** So much is worth a blob of its own when what follows lies otherwise in its words. */
const APART_BYTES: number = 256 * 1024;
/** Of bodies that do not lie in memory. */
const FILL_BYTES: number = 256 * 1024;

/**
 * A body as `fetch` of a page takes it at the least cost. Bytes in memory are copied at once, some hundred
 * milliseconds for a xorb in which nothing else happens in the page; a blob is not copied, and what it is
 * made of lies in another process.
 */
export async function pageBody(body: Body): Promise<Uint8Array<ArrayBuffer> | Blob> {
  const { sizeBytes = 0 } = body;
  if (sizeBytes < BLOB_LEAST_BYTES) return bytesOf(body);
  const parts: Blob[] = [];
  const piece = new Uint8Array(PIECE_BYTES + WORD_BYTES);
  /** Where the bytes of the piece begin: as those in the slab lie in their words. */
  let start = 0;
  let end = 0;
  const flush = (): void => {
    if (end > start) parts.push(new Blob([piece.subarray(start, end)]));
    end = start;
  };
  for (let at = 0; at < sizeBytes; ) {
    const view = await nextView(body);
    if (view.length === 0) throw new Error('the body ended early');
    const isApart = (view.byteOffset - end) % WORD_BYTES !== 0;
    if (end - start + view.length > PIECE_BYTES || (isApart && end - start >= APART_BYTES)) flush();
    if (end === start) {
      start = view.byteOffset % WORD_BYTES;
      end = start;
    }
    piece.set(view, end);
    end += view.length;
    at += view.length;
  }
  flush();
  // The end has to be asked for as well: it is when the body is known to be sent.
  await body.fill(new Uint8Array(1));
  return new Blob(parts);
}

async function nextView(body: Body): Promise<Uint8Array> {
  const most = await (body.allowance?.(PIECE_BYTES) ?? PIECE_BYTES);
  if (body.nextView !== undefined) return body.nextView(most);
  const bytes = new Uint8Array(Math.min(most, FILL_BYTES));
  return bytes.subarray(0, await body.fill(bytes));
}
