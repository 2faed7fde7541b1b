import { hexEncode } from '../../bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';
import type { FailedFile, FileResult } from './types.js';

/** The numbers of a result, in the order in which they are kept. */
const NUMBERS = [
  'sizeBytes',
  'chunkCount',
  'termCount',
  'newBytes',
  'dedupedBytes',
  'sessionBytes',
  'localBytes',
  'globalBytes',
] as const;

type Row = [number, number, number, number, number, number, number, number];

const PAGE_FILES = 1024;
/** File hash and SHA-256. */
const PAGE_HASH_BYTES = 2 * HASH_BYTES;

interface Page {
  readonly numbers: Float64Array;
  readonly hashes: Uint8Array;
  readonly states: Uint8Array;
}

const DONE = 1;
const HAS_SHA256 = 2;
const UNCHANGED = 4;

/**
 * What became of each file, in pages of plain numbers: about 140 bytes a file and its name, where
 * results as objects with their hashes took four times as much. Hundreds of thousands of small files
 * are kept to the end of a session like this.
 */
export class Outcomes {
  readonly #names: string[] = [];
  readonly #pages: Page[] = [];
  readonly #errors = new Map<number, Error>();

  get count(): number {
    return this.#names.length;
  }

  /** Memory of the pages, names not counted: they are the sources'. */
  get memoryBytes(): number {
    return this.#pages.length * PAGE_FILES * (8 * NUMBERS.length + PAGE_HASH_BYTES + 1 + 8);
  }

  /** A place for the next file; returns its number. */
  add(name: string): number {
    if (this.#names.length === this.#pages.length * PAGE_FILES) {
      this.#pages.push({
        numbers: new Float64Array(PAGE_FILES * NUMBERS.length),
        hashes: new Uint8Array(PAGE_FILES * PAGE_HASH_BYTES),
        states: new Uint8Array(PAGE_FILES),
      });
    }
    return this.#names.push(name) - 1;
  }

  /** The last word counts. */
  fail(file: number, error: Error): void {
    this.#errors.set(file, error);
  }

  /** `digest` is the SHA-256, raw. */
  done(
    file: number,
    result: Pick<FileResult, 'fileHash' | 'unchanged' | (typeof NUMBERS)[number]>,
    digest: Uint8Array | null,
  ): void {
    this.#errors.delete(file);
    const page = this.#pages[Math.floor(file / PAGE_FILES)] as Page;
    const at = file % PAGE_FILES;
    for (let i = 0; i < NUMBERS.length; i++) {
      page.numbers[at * NUMBERS.length + i] = result[NUMBERS[i] as (typeof NUMBERS)[number]];
    }
    page.hashes.set(result.fileHash.bytes, at * PAGE_HASH_BYTES);
    if (digest !== null) page.hashes.set(digest, at * PAGE_HASH_BYTES + HASH_BYTES);
    page.states[at] =
      DONE | (digest === null ? 0 : HAS_SHA256) | (result.unchanged ? UNCHANGED : 0);
  }

  /** Null: it failed, or is not done. */
  get(file: number): FileResult | null {
    const page = this.#pages[Math.floor(file / PAGE_FILES)] as Page;
    const at = file % PAGE_FILES;
    const state = page.states[at] as number;
    if (state === 0 || this.#errors.has(file)) return null;
    const numbers = page.numbers.subarray(at * NUMBERS.length, (at + 1) * NUMBERS.length);
    const [sizeBytes, chunkCount, termCount, newBytes, dedupedBytes, ...known] =
      numbers as unknown as Row;
    const [sessionBytes, localBytes, globalBytes] = known;
    const hashAt = at * PAGE_HASH_BYTES;
    const digest = page.hashes.subarray(hashAt + HASH_BYTES, hashAt + PAGE_HASH_BYTES);
    return {
      name: this.#names[file] as string,
      sizeBytes,
      fileHash: MerkleHash.from(page.hashes, hashAt),
      sha256: (state & HAS_SHA256) === 0 ? null : hexEncode(digest),
      unchanged: (state & UNCHANGED) !== 0,
      chunkCount,
      termCount,
      newBytes,
      dedupedBytes,
      sessionBytes,
      localBytes,
      globalBytes,
    };
  }

  /** Results in the order of the files, made one at a time. */
  *results(): Generator<FileResult> {
    for (let file = 0; file < this.count; file++) {
      const result = this.get(file);
      if (result !== null) yield result;
    }
  }

  failed(): FailedFile[] {
    return [...this.#errors]
      .sort(([a], [b]) => a - b)
      .map(([file, error]) => ({ name: this.#names[file] as string, error }));
  }
}
