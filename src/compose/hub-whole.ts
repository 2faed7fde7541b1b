import { createHash } from 'node:crypto';
import type { SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Body } from '../http/index.js';
import {
  LFS_BATCH_FILES,
  type LfsAnswer,
  type LfsObject,
  type LfsTransfer,
  lfsBatch,
  type RepoId,
  sendLfs,
} from '../hub/index.js';
import { changedInput, type LookedAt } from './hub-content.js';
import type { HubParts } from './hub-parts.js';
import { inLanes } from './in-lanes.js';

/** Files that go whole, for repositories and servers without a content-addressed store. */

const PIECE_BYTES = 1024 * 1024;

/** SHA-256 of a file, 64 hexadecimal digits. @throws OrbweaverError `INPUT_*` */
export async function sha256Of(
  { source, sizeBytes }: LookedAt,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, sizeBytes)));
  const reader = await source.open(signal);
  try {
    for (let at = 0; at < sizeBytes; ) {
      const count = await reader.read(piece);
      if (count === 0) throw changedInput(source.name, sizeBytes, at);
      at += count;
      hash.update(piece.subarray(0, count));
    }
  } finally {
    await reader.close();
  }
  return hash.digest('hex');
}

/** What a Hub says about files whose SHA-256 is known. */
export interface LfsSaid {
  /** By SHA-256. */
  readonly answers: ReadonlyMap<string, LfsAnswer>;
  /** It takes no chunks. */
  readonly isWhole: boolean;
}

/** Questions that are on their way at once. */
const PARALLEL_QUESTIONS = 4;

/**
 * Asks about the files whose SHA-256 is known.
 * @throws OrbweaverError `UNSUPPORTED` for a server that takes neither chunks nor whole files, or only these
 * where only the store may be used
 */
export async function askLfs(
  parts: HubParts,
  repo: RepoId,
  files: readonly LookedAt[],
  options: {
    /** Only of files that go whole. */
    readonly isWhole: boolean;
    /** Null: a pull request that is not there yet. */
    readonly branch: string | null;
    readonly signal: AbortSignal;
  },
): Promise<LfsSaid> {
  const { isWhole, branch, signal } = options;
  const known = new Map<string, LfsObject>();
  for (const { file, sizeBytes } of files) {
    if (file.sha256 !== undefined) known.set(file.sha256, { oid: file.sha256, sizeBytes });
  }
  const objects = [...known.values()];
  const batches: LfsObject[][] = [];
  for (let at = 0; at < objects.length; at += LFS_BATCH_FILES) {
    batches.push(objects.slice(at, at + LFS_BATCH_FILES));
  }
  const transfers = isWhole ? WHOLE : [...WHOLE, 'xet' as const];
  const answers = new Map<string, LfsAnswer>();
  const ways = new Set<LfsTransfer>();
  await inLanes(batches, { lanes: PARALLEL_QUESTIONS, signal }, async (batch) => {
    const said = await lfsBatch(parts.http, repo, batch, { transfers, branch, signal });
    if (said === null) {
      if (isWhole) throw new OrbweaverError('UNSUPPORTED', `${repo.name} takes no large files`);
      // It may still have a store.
      return;
    }
    for (const [oid, answer] of said.answers) answers.set(oid, answer);
    // Where nothing is to be sent, the way says nothing.
    if ([...said.answers.values()].some(({ kind }) => kind === 'wanted')) ways.add(said.transfer);
  });
  const takesNoChunks = ways.has('basic') || ways.has('multipart');
  if (takesNoChunks && parts.options.transport === 'xet') {
    throw new OrbweaverError('UNSUPPORTED', `${repo.name} has no content-addressed store`);
  }
  return { answers, isWhole: isWhole || takesNoChunks };
}

const WHOLE: readonly LfsTransfer[] = ['basic', 'multipart'];

/** A file that the Hub wants whole. */
export interface WantedFile {
  readonly looked: LookedAt;
  /** SHA-256. */
  readonly oid: string;
  readonly answer: Extract<LfsAnswer, { readonly kind: 'wanted' }>;
}

/** Sends one file. @param onBytes told how many bytes of it have gone out so far */
export async function sendWhole(
  parts: HubParts,
  { looked, oid, answer }: WantedFile,
  signal: AbortSignal,
  { onBytes, partsAtOnce }: WholeOptions,
): Promise<void> {
  const { file, source, sizeBytes } = looked;
  const reading = new WholeReading(looked, signal, onBytes);
  try {
    await sendLfs(
      parts.http,
      {
        ...{ oid, sizeBytes, path: file.path },
        // Whoever can be read from its begin only is read once, in order.
        partsAtOnce: source.openAt === undefined ? 1 : partsAtOnce,
        body: (start, end) => reading.body(start, end),
        check: () => reading.check(),
      },
      answer,
      signal,
    );
  } finally {
    await reading.close();
  }
}

/** How a file is sent. */
export interface WholeOptions {
  /** Told how many bytes of it have gone out so far. */
  readonly onBytes: (bytes: number) => void;
  /** Its parts that are sent side by side. Each is read as it goes out: no part is kept in memory. */
  readonly partsAtOnce: number;
}

/**
 * Reads parts of a source, each with a reader of its own where it can be read anywhere. Others are read by one
 * reader as long as their parts follow each other, and from the begin again for one that is repeated.
 */
class WholeReading {
  readonly #looked: LookedAt;
  readonly #signal: AbortSignal;
  readonly #onBytes: (bytes: number) => void;
  readonly #readers = new Set<SourceReader>();
  /** The most that of each part, by its begin, has gone out. */
  readonly #most = new Map<number, number>();
  #sentBytes = 0;
  /** Where the one reader is. */
  #next: { readonly reader: SourceReader; at: number } | null = null;

  constructor(looked: LookedAt, signal: AbortSignal, onBytes: (bytes: number) => void) {
    this.#looked = looked;
    this.#signal = signal;
    this.#onBytes = onBytes;
  }

  async body(start: number, end: number): Promise<Body> {
    const reader = await this.#readerAt(start);
    let at = start;
    let pending: Promise<number> | null = null;
    const read = async (into: Uint8Array): Promise<number> => {
      const count = await this.#read(reader, into, at);
      at += count;
      this.#count(start, at);
      if (at === end) await this.#leave(reader, end);
      return count;
    };
    return {
      sizeBytes: end - start,
      fill: async (into) => {
        const room = Math.min(into.length, end - at);
        if (room === 0 || !this.#readers.has(reader)) return 0;
        pending = read(into.subarray(0, room));
        return pending;
      },
      cancel: () => {
        if (at === end) return;
        // Not while it writes into memory of the request.
        const drop = (): Promise<void> => this.#drop(reader);
        void (pending ?? Promise.resolve()).then(drop, drop).catch(() => {});
      },
    };
  }

  /** @throws OrbweaverError `INPUT_CHANGED` */
  async check(): Promise<void> {
    const { source, sizeBytes } = this.#looked;
    // Opening looks what the file is now.
    const reader = await source.openAt?.(sizeBytes, this.#signal);
    await reader?.close();
  }

  async close(): Promise<void> {
    this.#next = null;
    await Promise.all([...this.#readers].map((reader) => this.#drop(reader)));
  }

  async #readerAt(start: number): Promise<SourceReader> {
    const { source } = this.#looked;
    if (source.openAt !== undefined) return this.#keep(await source.openAt(start, this.#signal));
    const next = this.#next;
    if (next !== null && next.at === start && this.#readers.has(next.reader)) return next.reader;
    await this.close();
    const reader = this.#keep(await source.open(this.#signal));
    const skipped = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, start)));
    for (let at = 0; at < start; ) {
      at += await this.#read(reader, skipped.subarray(0, Math.min(skipped.length, start - at)), at);
    }
    return reader;
  }

  #keep(reader: SourceReader): SourceReader {
    this.#readers.add(reader);
    return reader;
  }

  async #drop(reader: SourceReader): Promise<void> {
    if (this.#readers.delete(reader)) await reader.close();
  }

  /** A part is read: the next one goes on there, where its reader cannot begin anywhere else. */
  async #leave(reader: SourceReader, at: number): Promise<void> {
    if (this.#looked.source.openAt === undefined) this.#next = { reader, at };
    else await this.#drop(reader);
  }

  async #read(reader: SourceReader, into: Uint8Array, at: number): Promise<number> {
    const count = await reader.read(into);
    const { source, sizeBytes } = this.#looked;
    if (count === 0) throw changedInput(source.name, sizeBytes, at);
    return count;
  }

  #count(start: number, at: number): void {
    const before = this.#most.get(start) ?? start;
    if (at <= before) return;
    this.#most.set(start, at);
    this.#sentBytes += at - before;
    this.#onBytes(this.#sentBytes);
  }
}
