import type {
  BatchFile,
  BatchOptions,
  BatchSummary,
  DownloadOptions,
  DownloadProgress,
  DownloadSummary,
} from '../client/downloads.js';
import type { RandomAccess } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { Budget } from '../flow/index.js';
import type { FileEntry, FolderEntry } from '../folder/index.js';
import { MerkleHash } from '../hash/index.js';
import type { RestoreTree } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { closeAll } from './close-all.js';
import type { DownloadParts } from './download.js';
import { isOfOneFile } from './entry-failures.js';
import { inLanes } from './in-lanes.js';
import { WRITES } from './small-files.js';

/** Most fetches under way: batches, and large files. */
const JOBS = 4;

/** What a file cost. */
export type Moved = Pick<
  DownloadSummary,
  'fetchedBytes' | 'requestCount' | 'resumedBytes' | 'seededBytes'
>;

/** How bytes come into a tree. */
export interface Mover {
  file(options: DownloadOptions): Promise<Moved>;
  batch(options: BatchOptions): Promise<BatchSummary>;
}

/** What fetching works on. */
export interface FetchWorld {
  readonly parts: DownloadParts;
  readonly tree: RestoreTree;
  readonly mover: Mover;
  /** Other versions of a large file; they are closed here. */
  readonly seedsOf: (entry: FileEntry) => Promise<readonly RandomAccess[]>;
  /** False: neither what an earlier run left of a file nor its old copy is looked at. */
  readonly resume: boolean;
  /** Ends when nothing more is to be written. */
  readonly signal: AbortSignal;
  readonly counters: Record<keyof Moved, number>;
  /** Runs what concerns one entry. False: it failed. @throws what concerns all of them */
  readonly attempt: (entry: FolderEntry, run: () => Promise<void>) => Promise<boolean>;
  /** A large file is on its way; null: not any more. */
  readonly moved: (entry: FileEntry, progress: DownloadProgress | null) => void;
  /** A file is there. */
  readonly done: (entry: FileEntry) => void;
}

/** Fetches files of a folder into their places, small ones many at a time. */
export class FolderFetcher {
  readonly #world: FetchWorld;
  readonly #budget: Budget;
  readonly #concurrency: number | undefined;
  /** Fetches that may run side by side: with a fixed number of requests no more than that. */
  readonly jobs: number;

  constructor(world: FetchWorld) {
    const { budget, concurrency } = world.parts;
    this.#world = world;
    this.#budget = budget ?? new Budget({ capacityBytes: 32 * 1024 * 1024 });
    this.jobs = Math.min(JOBS, concurrency ?? JOBS);
    this.#concurrency = concurrency === undefined ? undefined : Math.floor(concurrency / this.jobs);
  }

  /**
   * Small files together. What fails for all of them is tried with half of them, down to the one that is to
   * blame.
   */
  async many(groups: readonly FileEntry[][]): Promise<void> {
    const empty = groups.filter(([first]) => first?.sizeBytes === 0);
    await this.#writeAll(empty.flat(), () => new Uint8Array(0));
    const wanted = groups.filter(([first]) => first?.sizeBytes !== 0);
    // A manifest may lie about sizes: the same content with two of them is one that is wrong.
    const alike = wanted.filter((group) =>
      group.every((each) => each.sizeBytes === group[0]?.sizeBytes),
    );
    for (const group of wanted) {
      if (!alike.includes(group)) for (const entry of group) await this.single(entry);
    }
    if (alike.length > 0) await this.#fetchMany(alike);
  }

  async #fetchMany(groups: readonly FileEntry[][]): Promise<void> {
    const { cas, pool } = this.#world.parts;
    const files = groups.map(([first]): BatchFile => {
      const { fileHash, sizeBytes } = first as FileEntry;
      return { fileHash: MerkleHash.parse(fileHash), sizeBytes };
    });
    if (groups.length === 1) {
      for (const entry of groups[0] as FileEntry[]) await this.single(entry);
      return;
    }
    let contents: readonly (Uint8Array | OrbweaverError)[];
    try {
      const batch = await this.#world.mover.batch({
        cas,
        pool,
        hasher: pool.kernels.hasher,
        clock: SYSTEM_CLOCK,
        files,
        budget: this.#budget,
        concurrency: this.#concurrency,
        signal: this.#world.signal,
      });
      contents = batch.contents;
      this.#world.counters.fetchedBytes += batch.fetchedBytes;
      this.#world.counters.requestCount += batch.requestCount;
    } catch (error) {
      if (this.#world.signal.aborted || !isOfOneFile(error)) throw error;
      const half = Math.ceil(groups.length / 2);
      await this.#fetchMany(groups.slice(0, half));
      await this.#fetchMany(groups.slice(half));
      return;
    }
    const bytesOf = new Map(files.map(({ fileHash }, i) => [fileHash.toString(), contents[i]]));
    const wrong = groups.filter((_, i) => !(contents[i] instanceof Uint8Array));
    const right = groups.filter((_, i) => contents[i] instanceof Uint8Array);
    await this.#writeAll(right.flat(), ({ fileHash }) => bytesOf.get(fileHash) as Uint8Array);
    // Alone they are looked at more closely, and mended where the damage was on the way.
    for (const entry of wrong.flat()) await this.single(entry);
  }

  async #writeAll(
    entries: readonly FileEntry[],
    bytesOf: (entry: FileEntry) => Uint8Array,
  ): Promise<void> {
    await inLanes(entries, { lanes: WRITES, signal: this.#world.signal }, async (entry) => {
      const made = await this.#world.attempt(entry, () =>
        this.#world.tree.writeFile(entry, bytesOf(entry)),
      );
      if (made) this.#world.done(entry);
    });
  }

  async single(entry: FileEntry): Promise<void> {
    const made = await this.#world.attempt(entry, async () => {
      const seeds = await this.#world.seedsOf(entry);
      try {
        await this.#fetch(entry, seeds);
      } finally {
        await closeAll(seeds);
      }
    });
    this.#world.moved(entry, null);
    if (made) this.#world.done(entry);
  }

  async #fetch(entry: FileEntry, seeds: readonly RandomAccess[]): Promise<void> {
    const { parts, tree, mover, counters, resume, signal } = this.#world;
    const { cas, pool } = parts;
    const sink = tree.fileSink(entry, { anew: !resume });
    const result = await mover.file({
      cas,
      pool,
      budget: this.#budget,
      concurrency: this.#concurrency,
      clock: SYSTEM_CLOCK,
      hasher: pool.kernels.hasher,
      fileHash: MerkleHash.parse(entry.fileHash),
      sizeBytes: entry.sizeBytes,
      onProgress: (progress) => this.#world.moved(entry, progress),
      sink: {
        ...sink,
        async prepare(sizeBytes) {
          if (sizeBytes > entry.sizeBytes) throw otherSize(entry, sizeBytes);
          await sink.prepare?.(sizeBytes);
        },
        async commit(sizeBytes) {
          if (sizeBytes !== entry.sizeBytes) throw otherSize(entry, sizeBytes);
          await sink.commit(sizeBytes);
        },
      },
      seeds,
      signal,
    });
    // From here on they are counted there.
    this.#world.moved(entry, null);
    counters.fetchedBytes += result.fetchedBytes;
    counters.requestCount += result.requestCount;
    counters.resumedBytes += result.resumedBytes;
    counters.seededBytes += result.seededBytes;
  }
}

function otherSize({ path, sizeBytes }: FileEntry, got: number): OrbweaverError {
  const message = `"${path}" expected ${sizeBytes} bytes, as the manifest says, got ${got}`;
  return new OrbweaverError('SIZE_MISMATCH', message, { path, expected: sizeBytes, got });
}
