import { hexEncode } from '../bytes/index.js';
import type { ShardCache } from '../client/ports.js';
import type { ResumeFacts } from '../compose/resume-facts.js';
import { uploadBegin } from '../compose/transfer-begin.js';
import { openUploadResume, type UploadResume } from '../compose/upload-resume.js';
import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { Hasher } from '../hash/index.js';
import { type Database, openDatabase } from './indexed-db.js';
import { isReopenable, nameOf, sizeOf } from './inputs.js';
import { createPageJournals } from './journals.js';
import { createPageShardCache } from './shard-cache.js';
import type { BrowserNamedInput } from './types.js';

/** What a client remembers in the database of its page. */
export interface PageMemory {
  readonly cache: ShardCache;
  readonly database: Database;
  /**
   * Looks for an earlier run of an upload of these inputs; `change`: of an edit that inserts them, and what
   * it does where. Never rejects.
   */
  resume(inputs: readonly BrowserNamedInput[], change?: unknown): Promise<UploadResume>;
  close(): void;
}

export interface PageMemoryOptions {
  readonly name: string;
  readonly endpoint: string;
  readonly shardCacheBytes: number | undefined;
  readonly hasher: Hasher;
  readonly onProblem: (error: OrbweaverError) => void;
}

/** Null: there is no database to be had, which is told. */
export async function openPageMemory(options: PageMemoryOptions): Promise<PageMemory | null> {
  const { name, endpoint, hasher, onProblem } = options;
  try {
    const database = await openDatabase(name);
    const journals = createPageJournals(database);
    return {
      database,
      cache: createPageShardCache(database, { endpoint, maxBytes: options.shardCacheBytes }),
      resume: async (inputs, change) => {
        const marks = await marksOf(inputs, hasher);
        return openUploadResume({
          ...{ journals, place: name, onProblem },
          facts: factsOf(endpoint, inputs, hasher, [marks, change]),
        });
      },
      close: () => database.close(),
    };
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    onProblem(error);
    return null;
  }
}

/** Smaller files, and many, are told by their names: looking into them takes as long as sending them. */
const SAMPLED_LEAST_BYTES: number = 4 * 1024 * 1024;
const SAMPLED_MOST_FILES: number = 32;
/** At the start, in the middle and at the end: versions of a model have the same start and the same size. */
const SAMPLE_BYTES: number = 64 * 1024;

/**
 * What tells an input from others: samples of its bytes and its size, so that a file which was renamed or
 * copied is the same; else name, size and time.
 */
async function marksOf(
  inputs: readonly BrowserNamedInput[],
  hasher: Hasher,
): Promise<readonly unknown[]> {
  return Promise.all(
    inputs.map(async (input) => {
      const { data } = input;
      const size = sizeOf(input) ?? null;
      const modified = 'lastModified' in data ? Number(data.lastModified) : null;
      const named = [nameOf(input), size, modified];
      const isSampled = data instanceof Blob && data.size >= SAMPLED_LEAST_BYTES;
      if (!isSampled || inputs.length > SAMPLED_MOST_FILES) return named;
      const last = data.size - SAMPLE_BYTES;
      const samples = [0, Math.floor(last / 2), last].map((at) =>
        data.slice(at, at + SAMPLE_BYTES),
      );
      try {
        return [shortHash(hasher, new Uint8Array(await new Blob(samples).arrayBuffer())), size];
      } catch {
        // What cannot be read is told of when it is uploaded.
        return named;
      }
    }),
  );
}

function shortHash(hasher: Hasher, bytes: Uint8Array): string {
  const digest = new Uint8Array(32);
  hasher.keyed(new Uint8Array(32), bytes, digest, 0);
  return hexEncode(digest.subarray(0, 16));
}

/**
 * What makes an upload the same upload: the store, and what tells the inputs. It decides only which journal
 * is looked at: what is in that is held against the bytes that are read.
 */
function factsOf(
  endpoint: string,
  inputs: readonly BrowserNamedInput[],
  hasher: Hasher,
  marks: unknown,
): ResumeFacts {
  const paths = inputs.map(nameOf);
  const key = (): string =>
    shortHash(hasher, new TextEncoder().encode(JSON.stringify([endpoint, marks])));
  return {
    key,
    begin() {
      const sizes = inputs.map(sizeOf);
      const isKnown = sizes.every((size) => size !== undefined);
      const sizeBytes = isKnown ? sizes.reduce((sum, size) => sum + size, 0) : null;
      const facts = { endpoint, key: key(), paths, pathCount: paths.length, options: [] };
      return uploadBegin({ ...facts, sizeBytes });
    },
  };
}

/** True when what is remembered may be believed without reading it back: the inputs can be read again. */
export function mayTrust(inputs: readonly BrowserNamedInput[]): boolean {
  return inputs.every(isReopenable);
}
