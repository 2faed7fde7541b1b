import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';
import { writeAll } from './file-sink.js';

/** Bytes that are gathered before they are written. */
const BUFFER_BYTES: number = 1 << 18;

/** A file of this process alone, which is written once from its start, read, and removed. */
export interface Spool {
  readonly path: string;
  readonly sizeBytes: number;
  write(bytes: Uint8Array): Promise<void>;
  /** What was written is in the file. */
  flush(): Promise<void>;
  /** Its bytes from the start. After `flush`. */
  read(): AsyncGenerator<Uint8Array, void>;
  /** Never throws. */
  remove(): Promise<void>;
}

/**
 * A file in the temporary folder of the system, in a folder that only this user can enter.
 * @throws OrbweaverError `OUTPUT_UNWRITABLE`, `DISK_FULL`, `STORAGE_FAILED`, also from its methods
 * @example
 * const spool = await createSpool();
 * try { await spool.write(bytes); await spool.flush(); } finally { await spool.remove(); }
 */
export async function createSpool(): Promise<Spool> {
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

/**
 * A spool as the end of a download that comes in order.
 * @param options `check` sees the bytes before they are kept and may throw; `maxBytes` bounds them all
 */
export function spoolSink(
  spool: Spool,
  options: { readonly check: (bytes: Uint8Array) => void; readonly maxBytes: number },
): Sink {
  return {
    name: 'the manifest',
    positional: false,
    async prepare(sizeBytes) {
      if (sizeBytes > options.maxBytes) throw tooLong(options.maxBytes, sizeBytes);
    },
    async write(bytes) {
      options.check(bytes);
      const sizeBytes = spool.sizeBytes + bytes.length;
      if (sizeBytes > options.maxBytes) throw tooLong(options.maxBytes, sizeBytes);
      await spool.write(bytes.slice());
    },
    commit: () => spool.flush(),
    abort: async () => {},
  };
}

function tooLong(expected: number, got: number): OrbweaverError {
  const message = `"the manifest" expected at most ${expected} bytes, got ${got}`;
  return new OrbweaverError('LIMIT_EXCEEDED', message, { expected, got });
}
