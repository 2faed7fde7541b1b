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
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { file, sizeBytes } = looked;
  const reading = new SequentialReading(looked, signal, onBytes);
  try {
    const { path } = file;
    const body = (start: number, end: number) => reading.body(start, end);
    await sendLfs(parts.http, { oid, sizeBytes, path, body }, answer, signal);
  } finally {
    await reading.close();
  }
}

/** Reads parts of a source that follow each other with one reader, and begins anew for one that is repeated. */
class SequentialReading {
  readonly #looked: LookedAt;
  readonly #signal: AbortSignal;
  readonly #onBytes: (bytes: number) => void;
  #reader: SourceReader | null = null;
  #at = 0;
  #most = 0;

  constructor(looked: LookedAt, signal: AbortSignal, onBytes: (bytes: number) => void) {
    this.#looked = looked;
    this.#signal = signal;
    this.#onBytes = onBytes;
  }

  async body(start: number, end: number): Promise<Body> {
    const reader = await this.#readerAt(start);
    let pending: Promise<number> | null = null;
    return {
      sizeBytes: end - start,
      fill: async (into) => {
        const room = Math.min(into.length, end - this.#at);
        if (room === 0 || this.#reader !== reader) return 0;
        pending = this.#read(reader, into.subarray(0, room));
        return pending;
      },
      cancel: () => {
        // Where it is then, nobody knows: the next part begins with another reader.
        if (this.#reader !== reader || this.#at === end) return;
        this.#reader = null;
        const close = (): Promise<void> => reader.close();
        void (pending ?? Promise.resolve()).then(close, close).catch(() => {});
      },
    };
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async #readerAt(start: number): Promise<SourceReader> {
    if (this.#reader !== null && this.#at === start) return this.#reader;
    await this.close();
    const reader = await this.#looked.source.open(this.#signal);
    this.#reader = reader;
    this.#at = 0;
    const skipped = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, start)));
    while (this.#at < start) {
      await this.#read(reader, skipped.subarray(0, Math.min(skipped.length, start - this.#at)));
    }
    return reader;
  }

  async #read(reader: SourceReader, into: Uint8Array): Promise<number> {
    const count = await reader.read(into);
    const { source, sizeBytes } = this.#looked;
    if (count === 0) throw changedInput(source.name, sizeBytes, this.#at);
    this.#at += count;
    if (this.#at > this.#most) {
      this.#most = this.#at;
      this.#onBytes(this.#at);
    }
    return count;
  }
}
