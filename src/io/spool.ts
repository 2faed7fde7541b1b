import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { outputError } from './errno.js';
import { writeAll } from './file-sink.js';
import type { Spool } from './spool-sink.js';

/** Bytes that are gathered before they are written. */
const BUFFER_BYTES: number = 1 << 18;

/** A {@link Spool} in a file. */
export interface FileSpool extends Spool {
  readonly path: string;
}

/**
 * A file in the temporary folder of the system, in a folder that only this user can enter.
 * @throws OrbweaverError `OUTPUT_UNWRITABLE`, `DISK_FULL`, `STORAGE_FAILED`, also from its methods
 * @example
 * const spool = await createSpool();
 * try { await spool.write(bytes); await spool.flush(); } finally { await spool.remove(); }
 */
export async function createSpool(): Promise<FileSpool> {
  const base = join(tmpdir(), 'orbweaver-');
  const folder = await mkdtemp(base).catch((error: unknown) => {
    throw outputError(error, base);
  });
  const path = join(folder, 'manifest');
  let file: FileHandle;
  try {
    file = await open(path, 'wx+', 0o600);
  } catch (error) {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    throw outputError(error, path);
  }
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let flushedBytes = 0;
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
    await writeAll(file, bytes, flushedBytes, path);
    flushedBytes += bytes.length;
  };
  return {
    path,
    get sizeBytes() {
      return flushedBytes + pendingBytes;
    },
    async write(bytes) {
      pending.push(bytes);
      pendingBytes += bytes.length;
      if (pendingBytes >= BUFFER_BYTES) await flush();
    },
    flush,
    async *read() {
      let position = 0;
      const buffer = new Uint8Array(BUFFER_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.slice(0, bytesRead);
      }
    },
    async remove() {
      await file.close().catch(() => {});
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    },
  };
}
