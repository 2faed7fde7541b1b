import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { throwIfAborted } from '../flow/index.js';
import type { HubFileInfo } from '../hub/index.js';
import type { GitBlobHash } from '../io/index.js';
import type { HubParts } from './hub-parts.js';
import { contentHash } from './hub-present.js';

/** Most bytes that are read and written at a time, and least that are noted. */
const PIECE_BYTES = 256 * 1024;
/** Longest chunk that a list of what is written takes. */
const NOTED_BYTES = 128 * 1024;
const HASH_BYTES = 32;

/** What a plain download came to. */
export interface PlainResult {
  /** 0: an earlier run had written all of it. */
  readonly fetchedBytes: number;
  readonly requestCount: number;
  /** True when the Hub told a hash that could be compared. */
  readonly verified: boolean;
}

/** Told how many bytes of the file are written, and how many of them were fetched. */
export type PlainListener = (doneBytes: number, fetchedBytes: number) => void;

/**
 * Name under which what is written of a file is kept for a later run: that of its content. Undefined: the
 * Hub tells no hash, so nobody could say whether the rest belongs to it.
 */
export function plainContent({ etag }: HubFileInfo): string | undefined {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(etag) ? etag.toLowerCase() : undefined;
}

/**
 * Reads a file as plain HTTP into a sink, in order. A connection that breaks goes on where it was, and so
 * does a later run, where the sink keeps what it has. The bytes are held against the hash in the file's ETag:
 * SHA-256 of large files, git's of others.
 * @throws OrbweaverError `INTEGRITY`, `NETWORK`, `STALLED`, `NOT_FOUND`…
 */
export async function plainDownload(
  parts: HubParts,
  info: HubFileInfo,
  sink: Sink,
  signal: AbortSignal,
  onBytes: PlainListener,
): Promise<PlainResult> {
  const run = new PlainRun(parts, info, sink, signal, onBytes);
  try {
    await run.takeUp();
    await sink.prepare?.(info.size);
    await run.fetch();
    // What an earlier run has left may be damaged, which only the whole file shows.
    if (!run.isRight && run.keptBytes > 0) await run.fetchAnew();
    if (!run.isRight) {
      sink.part?.forget();
      const message = `${info.url} expected the hash ${info.etag}, has another`;
      throw new OrbweaverError('INTEGRITY', message);
    }
    await sink.commit(info.size);
    return run.result;
  } catch (error) {
    await sink.abort(error);
    throw error;
  }
}

class PlainRun {
  /** Bytes of an earlier run that this one builds on. */
  keptBytes = 0;
  readonly #parts: HubParts;
  readonly #info: HubFileInfo;
  readonly #sink: Sink;
  readonly #signal: AbortSignal;
  readonly #onBytes: PlainListener;
  readonly #buffer = new Uint8Array(PIECE_BYTES);
  #hash: GitBlobHash | null;
  #digest: string | null = null;
  #at = 0;
  #notedBytes = 0;
  #fetchedBytes = 0;
  #requestCount = 0;

  constructor(
    parts: HubParts,
    info: HubFileInfo,
    sink: Sink,
    signal: AbortSignal,
    onBytes: PlainListener,
  ) {
    this.#parts = parts;
    this.#info = info;
    this.#sink = sink;
    this.#signal = signal;
    this.#onBytes = onBytes;
    this.#hash = contentHash(info);
  }

  get isRight(): boolean {
    if (this.#hash === null) return true;
    this.#digest ??= this.#hash.digest();
    return this.#digest === this.#info.etag.toLowerCase();
  }

  get result(): PlainResult {
    const fetchedBytes = this.#fetchedBytes;
    return { fetchedBytes, requestCount: this.#requestCount, verified: this.#hash !== null };
  }

  /** Reads back what an earlier run has written from the beginning on. */
  async takeUp(): Promise<void> {
    const { part } = this.#sink;
    if (part === undefined) return;
    for (const claim of await part.claims()) {
      const end = claim.offset + claim.sizeBytes;
      if (claim.offset !== this.#at || end > this.#info.size) break;
      while (this.#at < end) {
        throwIfAborted(this.#signal);
        const piece = this.#buffer.subarray(0, Math.min(PIECE_BYTES, end - this.#at));
        await part.readAt(piece, this.#at);
        this.#took(piece);
      }
    }
    this.#note();
    await part.settle();
    this.keptBytes = this.#at;
    if (this.#at > 0) this.#onBytes(this.#at, 0);
  }

  async fetch(): Promise<void> {
    const { size, url } = this.#info;
    if (this.#at === size) return;
    const range = { start: this.#at, end: size };
    const reader = this.#parts.files().read(url, range, {
      signal: this.#signal,
      onRequest: () => {
        this.#requestCount++;
      },
    });
    try {
      while (this.#at < size) {
        const count = await reader.fill(this.#buffer);
        if (count === 0) break;
        const piece = this.#buffer.subarray(0, count);
        await this.#sink.write(piece, this.#at);
        this.#fetchedBytes += count;
        this.#took(piece);
        this.#onBytes(this.#at, this.#fetchedBytes);
      }
    } finally {
      this.#note();
      reader.cancel();
    }
  }

  /** Without what an earlier run has written. */
  fetchAnew(): Promise<void> {
    this.#sink.part?.forget();
    this.#hash = contentHash(this.#info);
    this.#digest = null;
    this.#at = 0;
    this.#notedBytes = 0;
    this.keptBytes = 0;
    return this.fetch();
  }

  /** These bytes are in the output, next to those before. */
  #took(piece: Uint8Array): void {
    this.#hash?.update(piece);
    this.#at += piece.length;
    if (this.#at - this.#notedBytes >= PIECE_BYTES) this.#note();
  }

  #note(): void {
    const offset = this.#notedBytes;
    if (this.#at === offset) return;
    this.#sink.part?.note({ offset, ...unhashed(this.#at - offset) });
    this.#notedBytes = this.#at;
  }
}

/**
 * What is written, as the list of a part has it. Chunks get no hash of their own there: that of the file has the
 * last word, and no store names any of them.
 */
function unhashed(sizeBytes: number): { lengths: Uint32Array; hashes: Uint8Array } {
  const count = Math.ceil(sizeBytes / NOTED_BYTES);
  const lengths = new Uint32Array(count).fill(NOTED_BYTES);
  lengths[count - 1] = sizeBytes - NOTED_BYTES * (count - 1);
  return { lengths, hashes: new Uint8Array(HASH_BYTES * count) };
}
