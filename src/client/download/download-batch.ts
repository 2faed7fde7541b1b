import { OrbweaverError } from '../../errors.js';
import type { Budget, Clock, Scope } from '../../flow/index.js';
import { createMerkleTree, HASH_BYTES, type Hasher, type MerkleHash } from '../../hash/index.js';
import type { FetchEntry, Term, XorbFetch } from '../../plan/index.js';
import type {
  BatchReconstruction,
  BatchReconstructions,
  ComputePool,
  RangeSource,
  Reconstructions,
  Sink,
} from '../ports.js';
import { type Block, openBlock, type Transfer } from './block.js';
import type { ChunkLedger } from './chunk-ledger.js';
import { transferOf } from './download-file.js';
import { FetchTally } from './fetch-tally.js';
import { runBlock } from './run-block.js';
import type { FetchPlan } from './types.js';

/** One file of a batch, and what it has to be. */
export interface BatchFile {
  readonly fileHash: MerkleHash;
  readonly sizeBytes: number;
}

/** Options of {@link downloadBatch}. */
export interface BatchOptions {
  readonly cas: Reconstructions & BatchReconstructions & RangeSource;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  /** Different files, none of them empty, at most a thousand. All of their bytes are held at once. */
  readonly files: readonly BatchFile[];
  /** What reconstructions and lists of chunks are counted in. */
  readonly budget: Budget;
  /** Ranged requests in flight. @default 4 */
  readonly concurrency?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a batch brought. */
export interface BatchSummary {
  /** The bytes of each file, in the order of `files`, views of one array; an error for one that is wrong. */
  readonly contents: readonly (Uint8Array | OrbweaverError)[];
  readonly fetchedBytes: number;
  readonly requestCount: number;
}

const DEFAULT_CONCURRENCY = 4;

/** Reconstructions at a time where the store has no batches. */
const SINGLE_CONCURRENCY = 16;

/**
 * Rebuilds many small files with few requests: their reconstructions come in one response, and are carried
 * out as that of one file in which they follow each other, so that every range is fetched once and ranges
 * that touch come together. Each file is checked against its own hash.
 *
 * Anything that goes wrong on the way fails all of them, because nobody can tell which one it was: ask for
 * fewer, down to `downloadFile`, which also repairs.
 *
 * @throws OrbweaverError what `downloadFile` throws; `NOT_FOUND` when one of the files is missing
 */
export async function downloadBatch(options: BatchOptions): Promise<BatchSummary> {
  const { files, hasher } = options;
  const output = new Uint8Array(files.reduce((sum, file) => sum + file.sizeBytes, 0));
  return withBlock(options, arraySink(output), async ({ transfer, block, termCounts }) => {
    const { concurrency = DEFAULT_CONCURRENCY } = options;
    await runBlock(transfer, block, { concurrency, onWritten: () => {} });
    transfer.scope.check();
    const contents = checkedContents({
      ...{ files, output, terms: block.reconstruction.terms, termCounts, hasher },
      ledger: block.ledger as ChunkLedger,
    });
    const { fetchedBytes, requestCount } = transfer.counters;
    return { contents, fetchedBytes, requestCount };
  });
}

/** What {@link downloadBatch} would fetch; it asks where the bytes are, and fetches none. @throws what that throws */
export function planBatch(options: BatchOptions): Promise<FetchPlan> {
  const nowhere = arraySink(new Uint8Array(0));
  return withBlock(options, nowhere, async ({ transfer, block }) => {
    const tally = new FetchTally();
    tally.add(block.plan);
    return tally.plan(transfer.counters.requestCount);
  });
}

/** All files as one block. */
interface OpenBatch {
  readonly transfer: Transfer;
  readonly block: Block;
  /** Of each file. */
  readonly termCounts: readonly number[];
}

async function withBlock<T>(
  options: BatchOptions,
  sink: Sink,
  use: (open: OpenBatch) => Promise<T>,
): Promise<T> {
  const { files, clock, signal, cas, pool, hasher, budget, concurrency } = options;
  const outputBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let termCounts: readonly number[] = [];
  /** Terms of all files as those of one; its hash is nobody's and not looked at. */
  const getReconstruction = async (): Promise<BatchReconstruction['reconstruction']> => {
    const { scope, counters } = transfer;
    const batch = await askForAll(options, scope, () => counters.requestCount++);
    checkSizes(batch, files);
    termCounts = batch.termCounts;
    return batch.reconstruction;
  };
  const transfer: Transfer = transferOf({
    cas: { getReconstruction, readRanges: (...all) => cas.readRanges(...all) },
    ...{ pool, hasher, clock, sink, budget, concurrency, signal },
    fileHash: (files[0] as BatchFile).fileHash,
  });
  return transfer.scope.run(async () => {
    const block = await openBlock(transfer, {
      fileStart: 0,
      skipBytes: 0,
      // Behind the end, so that a response with more bytes is seen to have them.
      blockBytes: outputBytes + 1,
      end: outputBytes + 1,
      keepHashes: true,
      previous: undefined,
    });
    if (block === null) throw new OrbweaverError('PROTOCOL', 'a batch expected terms, got none');
    try {
      return await use({ transfer, block, termCounts });
    } finally {
      block.memory.release();
    }
  });
}

/** One response for all, or one for each where the store has no batches; `onRequest` hears of all but one. */
async function askForAll(
  { cas, files, concurrency = SINGLE_CONCURRENCY }: BatchOptions,
  scope: Scope,
  onRequest: () => void,
): Promise<BatchReconstruction> {
  const hashes = files.map(({ fileHash }) => fileHash);
  const batch = await scope.call((signal) => cas.getReconstructions(hashes, signal));
  if (batch !== null) return batch;
  const parts: BatchReconstruction['reconstruction'][] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < hashes.length; i = next++) {
      // Whoever asks for the batch counts one.
      if (i > 0) onRequest();
      const hash = hashes[i] as MerkleHash;
      const part = await scope.call((signal) => cas.getReconstruction(hash, undefined, signal));
      if (part === null) {
        throw new OrbweaverError(
          'PROTOCOL',
          `the reconstruction of ${hash} expected terms, got none`,
        );
      }
      parts[i] = part;
    }
  };
  await Promise.all(
    Array.from({ length: Math.min(SINGLE_CONCURRENCY, concurrency, hashes.length) }, lane),
  );
  return {
    reconstruction: {
      offsetIntoFirstTerm: 0,
      terms: parts.flatMap(({ terms }) => terms),
      fetches: joinedFetches(parts),
    },
    termCounts: parts.map(({ terms }) => terms.length),
  };
}

/** Each xorb once, with the entries of all responses. */
function joinedFetches(parts: readonly BatchReconstruction['reconstruction'][]): XorbFetch[] {
  const entriesOf = new Map<
    string,
    { readonly xorb: MerkleHash; readonly entries: FetchEntry[] }
  >();
  for (const { xorb, entries } of parts.flatMap(({ fetches }) => fetches)) {
    const known = entriesOf.get(xorb.toString());
    if (known === undefined) entriesOf.set(xorb.toString(), { xorb, entries: [...entries] });
    else known.entries.push(...entries);
  }
  return [...entriesOf.values()];
}

/** Before a byte is fetched: what was promised is what comes, so each file has its place in the output. */
function checkSizes(
  { reconstruction, termCounts }: BatchReconstruction,
  files: readonly BatchFile[],
): void {
  let first = 0;
  for (const [i, { fileHash, sizeBytes }] of files.entries()) {
    const count = termCounts[i] as number;
    const gotBytes = bytesOf(reconstruction.terms, first, count);
    first += count;
    if (gotBytes === sizeBytes) continue;
    const hash = fileHash.toString();
    const message = `file ${hash} expected ${sizeBytes} bytes, got ${gotBytes}`;
    throw new OrbweaverError('SIZE_MISMATCH', message, {
      fileHash: hash,
      expected: sizeBytes,
      got: gotBytes,
    });
  }
}

function bytesOf(terms: readonly Term[], first: number, count: number): number {
  let bytes = 0;
  for (let i = first; i < first + count; i++) bytes += (terms[i] as Term).unpackedBytes;
  return bytes;
}

interface Fetched {
  readonly files: readonly BatchFile[];
  readonly output: Uint8Array;
  readonly terms: readonly Term[];
  readonly termCounts: readonly number[];
  readonly ledger: ChunkLedger;
  readonly hasher: Hasher;
}

/** Each file against its hash, rebuilt from the hashes of its chunks. */
function checkedContents(fetched: Fetched): (Uint8Array | OrbweaverError)[] {
  const { files, output, terms, termCounts, ledger, hasher } = fetched;
  let term = 0;
  let chunk = 0;
  let start = 0;
  return files.map(({ fileHash, sizeBytes }, i) => {
    const tree = createMerkleTree(hasher);
    for (const end = term + (termCounts[i] as number); term < end; term++) {
      const { chunkStart, chunkEnd } = terms[term] as Term;
      for (const last = chunk + chunkEnd - chunkStart; chunk < last; chunk++) {
        tree.push(ledger.hashes, HASH_BYTES * chunk, ledger.lengths[chunk] as number);
      }
    }
    const bytes = output.subarray(start, start + sizeBytes);
    start += sizeBytes;
    const got = tree.fileHash();
    if (got.equals(fileHash)) return bytes;
    const message = `"file hash" expected ${fileHash}, got ${got}`;
    return new OrbweaverError('INTEGRITY', message, {
      expected: fileHash.toString(),
      got: got.toString(),
    });
  });
}

/** The output, written anywhere. */
function arraySink(output: Uint8Array): Sink {
  return {
    name: 'files of a folder',
    positional: true,
    write: async (bytes, offset) => output.set(bytes, offset),
    commit: async () => {},
    abort: async () => {},
  };
}
