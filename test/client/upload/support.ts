import { createHash } from 'node:crypto';
import type { ComputePool, Source } from '../../../src/client/ports.js';
import { createComputePool, type WorkerPool } from '../../../src/workers/index.js';
import { generate } from '../../support/generators.js';

/** How a source in memory behaves. */
export interface MemorySourceOptions {
  readonly name?: string;
  /** Declared size; false: unknown. @default the real one */
  readonly sizeBytes?: number | false;
  /** Most bytes per read. @default all that is asked for */
  readonly step?: number;
  /** Throws when this many bytes have been read. */
  readonly failAt?: number;
  /** When this many bytes have been read, nothing comes until it is closed. */
  readonly hangAt?: number;
  readonly reopenable?: boolean;
  /** What `readNow` does: nothing, or it throws; other files are opened. @default no such method */
  readonly now?: 'reads' | 'declines' | 'fails';
}

/** A source that counts how it was used. */
export class MemorySource implements Source {
  readonly name: string;
  readonly sizeBytes?: number;
  readonly reopenable: boolean;
  openCount = 0;
  closeCount = 0;
  nowCount = 0;
  readonly readNow?: (into: Uint8Array) => boolean;
  readBytes = 0;
  readonly #bytes: Uint8Array;
  readonly #options: MemorySourceOptions;

  constructor(bytes: Uint8Array, options: MemorySourceOptions = {}) {
    this.#bytes = bytes;
    this.#options = options;
    this.name = options.name ?? 'memory';
    this.reopenable = options.reopenable ?? true;
    if (options.sizeBytes !== false) this.sizeBytes = options.sizeBytes ?? bytes.length;
    const { now } = options;
    if (now === undefined) return;
    this.readNow = (into) => {
      this.nowCount++;
      if (into.length <= bytes.length) throw new Error('too little room');
      if (now === 'fails') throw new Error('the disk is gone');
      if (now === 'reads') into.set(bytes);
      return now === 'reads';
    };
  }

  async open(): ReturnType<Source['open']> {
    this.openCount++;
    let at = 0;
    const { step, failAt, hangAt } = this.#options;
    let endHanging = (): void => {};
    return {
      read: async (into) => {
        await null;
        if (failAt !== undefined && at >= failAt) throw new Error('the disk is gone');
        if (hangAt !== undefined && at >= hangAt) {
          await new Promise<void>((resolve) => {
            endHanging = resolve;
          });
          throw new Error('closed');
        }
        const count = Math.min(into.length, step ?? into.length, this.#bytes.length - at);
        into.set(this.#bytes.subarray(at, at + count));
        at += count;
        this.readBytes += count;
        return count;
      },
      close: async () => {
        this.closeCount++;
        endHanging();
      },
    };
  }
}

export const MIB: number = 1024 * 1024;

export function random(seed: number, bytes: number): Uint8Array {
  return generate({ kind: 'splitmix64', seed, bytes });
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** `bytes` with `insert` put in at `at`. */
export function edited(bytes: Uint8Array, at: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length + insert.length);
  out.set(bytes.subarray(0, at));
  out.set(insert, at);
  out.set(bytes.subarray(at), at + insert.length);
  return out;
}

/** Runs `work` with a pool on this thread, and checks that every slab came back. */
export async function withPool<T>(
  options: Parameters<typeof createComputePool>[0],
  work: (pool: WorkerPool) => Promise<T>,
): Promise<T> {
  const pool = await createComputePool({ threads: 0, maxMemory: 8 * MIB, ...options });
  try {
    const result = await work(pool);
    await slabsHome(pool);
    return result;
  } finally {
    await pool.close();
  }
}

/** Resolves when all slabs are free; fails after some seconds. */
export async function slabsHome(pool: ComputePool, withinMs = 20_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (pool.freeSlabs !== pool.slabCount) {
    if (performance.now() > until) {
      throw new Error(`${pool.slabCount - pool.freeSlabs} slabs were not given back`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
