import type { Spool } from '../io/web.js';

/** A spool of a page: blobs, which the browser keeps outside of it. */
export interface BlobSpool extends Spool {
  /** What was flushed. */
  blob(): Blob;
}

/** Bytes that are gathered before they are a blob. */
const BUFFER_BYTES: number = 1 << 18;

export function createBlobSpool(): BlobSpool {
  let pending: Uint8Array<ArrayBuffer>[] = [];
  let pendingBytes = 0;
  let blobs: Blob[] = [];
  let sizeBytes = 0;
  const flush = async (): Promise<void> => {
    if (pending.length > 0) blobs.push(new Blob(pending));
    pending = [];
    pendingBytes = 0;
  };
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    blob: () => new Blob(blobs),
    async write(bytes) {
      pending.push(bytes as Uint8Array<ArrayBuffer>);
      pendingBytes += bytes.length;
      sizeBytes += bytes.length;
      if (pendingBytes >= BUFFER_BYTES) await flush();
    },
    flush,
    async *read() {
      for (const blob of blobs) yield new Uint8Array(await blob.arrayBuffer());
    },
    async remove() {
      pending = [];
      blobs = [];
    },
  };
}
