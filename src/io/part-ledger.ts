import { type FileHandle, open, rename } from 'node:fs/promises';
import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import type { ChunkRun, KeptRun } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { PartLedger } from './kept-runs.js';

/**
 * What is written in a part: a file of runs of chunks beside it, only ever added to.
 *
 *     run     | "OWR2" | chunks: u32 | offset: f64 | lengths: u32 … | hashes: 32 bytes … |   little-endian
 *
 * It needs no check sum and no fsync: it says which bytes to read back, and only those count that have
 * the hash that it names. A last run without its end was torn by a crash and is left out.
 */

const MAGIC = 0x3252574f;
const HEAD_BYTES = 16;
const HASH_BYTES = 32;
const LENGTH_BYTES = 4;
const CHUNK_BYTES: number = LENGTH_BYTES + HASH_BYTES;
/** Far more than a slab has, and no more than a xorb. */
const MAX_RUN_CHUNKS = 8192;
/** Bytes that are read at a time. */
const BLOCK_BYTES = 1 << 20;

/** A {@link PartLedger} in a file. */
export interface FileLedger extends PartLedger {
  /** Moves the file to another name, over what is there. */
  moveTo(path: string): Promise<void>;
}

/** A new one; where it cannot be made, it is not whole. */
export function createLedger(path: string): FileLedger {
  return ledgerOf(path, open(path, 'w+', 0o600), 0);
}

/** An earlier one, to be read only, and its runs in the order in which they were written. */
export async function openLedger(
  path: string,
): Promise<{ readonly ledger: FileLedger; readonly runs: readonly KeptRun[] }> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const runs: KeptRun[] = [];
    let position = 0;
    for (
      let run = await runAt(file, 0, size);
      run !== null;
      run = await runAt(file, position, size)
    ) {
      runs.push(run);
      position += HEAD_BYTES + CHUNK_BYTES * run.chunkCount;
    }
    return { ledger: ledgerOf(path, Promise.resolve(file), position), runs };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function runAt(file: FileHandle, position: number, size: number): Promise<KeptRun | null> {
  const head = new Uint8Array(HEAD_BYTES);
  if (position + HEAD_BYTES > size) return null;
  await readFully(file, head, position);
  const view = new DataView(head.buffer);
  const chunkCount = view.getUint32(4, true);
  const offset = view.getFloat64(8, true);
  const isRun = view.getUint32(0, true) === MAGIC && chunkCount > 0 && chunkCount <= MAX_RUN_CHUNKS;
  if (!isRun || !(Number.isSafeInteger(offset) && offset >= 0)) return null;
  if (position + HEAD_BYTES + CHUNK_BYTES * chunkCount > size) return null;
  const run: KeptRun = { offset, sizeBytes: 0, chunkCount, position };
  const { lengths } = await chunksOf(file, run);
  let sizeBytes = 0;
  for (const length of lengths) {
    if (length === 0 || length > MAX_CHUNK_BYTES) return null;
    sizeBytes += length;
  }
  return Number.isSafeInteger(offset + sizeBytes) ? { ...run, sizeBytes } : null;
}

async function chunksOf(
  file: FileHandle,
  { offset, position, chunkCount }: KeptRun,
): Promise<ChunkRun> {
  const bytes = new Uint8Array(CHUNK_BYTES * chunkCount);
  await readFully(file, bytes, position + HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  const lengths = new Uint32Array(chunkCount);
  for (let i = 0; i < chunkCount; i++) lengths[i] = view.getUint32(LENGTH_BYTES * i, true);
  return { offset, lengths, hashes: bytes.subarray(LENGTH_BYTES * chunkCount) };
}

async function readFully(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const length = Math.min(into.length - done, BLOCK_BYTES);
    const { bytesRead } = await file.read(into, done, length, position + done);
    if (bytesRead === 0) throw new OrbweaverError('STORAGE_FAILED', 'a list of chunks ends early');
    done += bytesRead;
  }
}

function ledgerOf(firstPath: string, opening: Promise<FileHandle>, end: number): FileLedger {
  let path = firstPath;
  let position = end;
  let isWhole = true;
  /** One write at a time: after one that failed nothing is written. */
  let last: Promise<void> = opening.then(
    () => {},
    () => {
      isWhole = false;
    },
  );
  /** Handed over together: zeros of a disk image are many runs of one chunk. */
  let waiting: Uint8Array[] = [];
  let waitingAt = 0;
  const write = (bytes: Uint8Array, at: number): void => {
    waiting.push(bytes);
    if (waiting.length > 1) return;
    waitingAt = at;
    last = last.then(writeWaiting).catch(() => {
      isWhole = false;
    });
  };
  const writeWaiting = async (): Promise<void> => {
    const all = Buffer.concat(waiting);
    const at = waitingAt;
    waiting = [];
    if (!isWhole) return;
    const file = await opening;
    for (let done = 0; done < all.length; ) {
      done += (await file.write(all, done, all.length - done, at + done)).bytesWritten;
    }
  };
  return {
    append({ offset, lengths, hashes }) {
      const bytes = new Uint8Array(HEAD_BYTES + CHUNK_BYTES * lengths.length);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, MAGIC, true);
      view.setUint32(4, lengths.length, true);
      view.setFloat64(8, offset, true);
      let sizeBytes = 0;
      let at = HEAD_BYTES;
      for (const length of lengths) {
        view.setUint32(at, length, true);
        at += LENGTH_BYTES;
        sizeBytes += length;
      }
      bytes.set(hashes, at);
      const run: KeptRun = { offset, sizeBytes, chunkCount: lengths.length, position };
      write(bytes, position);
      position += bytes.length;
      return run;
    },
    async read(run) {
      await last;
      const reading = opening.then((file) => chunksOf(file, run));
      return reading.catch((error: unknown) => {
        const text = `"${path}" expected a list of chunks that can be read back`;
        throw new OrbweaverError('STORAGE_FAILED', text, { path }, error);
      });
    },
    get isWhole() {
      return isWhole;
    },
    async moveTo(next) {
      await last;
      await rename(path, next);
      path = next;
    },
    async close() {
      await last;
      await opening.then((file) => file.close()).catch(() => {});
    },
  };
}
