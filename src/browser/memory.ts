import { hexEncode } from '../bytes/index.js';
import type { ShardCache } from '../client/ports.js';
import type { ResumeFacts } from '../compose/resume-facts.js';
import { uploadBegin } from '../compose/transfer-begin.js';
import { openUploadResume, type UploadResume } from '../compose/upload-resume.js';
import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { Hasher } from '../hash/index.js';
import { openDatabase } from './indexed-db.js';
import { isReopenable, nameOf, sizeOf } from './inputs.js';
import { createPageJournals } from './journals.js';
import { createPageShardCache } from './shard-cache.js';
import type { BrowserNamedInput } from './types.js';

/** What a client remembers in the database of its page. */
export interface PageMemory {
  readonly cache: ShardCache;
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
      cache: createPageShardCache(database, { endpoint, maxBytes: options.shardCacheBytes }),
      resume: (inputs, change) =>
        openUploadResume({
          ...{ journals, place: name, onProblem },
          facts: factsOf(endpoint, inputs, hasher, change),
        }),
      close: () => database.close(),
    };
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    onProblem(error);
    return null;
  }
}

/**
 * What makes an upload the same upload: the store, and name, size and time of each input. It decides only
 * which journal is looked at: what is in that is held against the bytes that are read.
 */
function factsOf(
  endpoint: string,
  inputs: readonly BrowserNamedInput[],
  hasher: Hasher,
  change: unknown,
): ResumeFacts {
  const paths = inputs.map(nameOf);
  const key = (): string => {
    const texts = inputs.map((input, i) => {
      const { data } = input;
      const modified = 'lastModified' in data ? Number(data.lastModified) : null;
      return [paths[i], sizeOf(input) ?? null, modified];
    });
    const bytes = new TextEncoder().encode(JSON.stringify([endpoint, texts, change]));
    const digest = new Uint8Array(32);
    hasher.keyed(new Uint8Array(32), bytes, digest, 0);
    return hexEncode(digest.subarray(0, 16));
  };
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
