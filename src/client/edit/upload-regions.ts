import type { Scope } from '../../flow/index.js';
import type { SubtreeBuilder } from '../../hash/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import { decodeShard, encodeShard, type ShardFile, type ShardXorb } from '../../shard/index.js';
import type { ShardRegistry, Source, UploadDestination, XorbStore } from '../ports.js';
import { createUploadSession, type FileResult, type UploadSummary } from '../upload/index.js';
import { storeDestination } from '../upload/store-destination.js';
import type { EditFileOptions } from './types.js';

/** New bytes of the file, and where the hashes of their chunks go. */
export interface NewBytes {
  readonly source: Source;
  readonly tree: SubtreeBuilder | null;
}

/** Where xorbs and shards go. */
export type Store = XorbStore & ShardRegistry;

/** The same store, with each xorb and shard that is sent counted. */
export function countedStore(cas: Store, onSent: (bytes: number) => void): Store {
  const { hasXorb } = cas;
  return {
    async putXorb(xorb, body, options) {
      const result = await cas.putXorb(xorb, body, options);
      onSent(body.sizeBytes);
      return result;
    },
    ...(hasXorb && { hasXorb: (xorb, signal) => hasXorb.call(cas, xorb, signal) }),
    async putShard(shard, options) {
      const result = await cas.putShard(shard, options);
      onSent(shard.length);
      return result;
    },
  };
}

/** What was stored, and is not registered yet. */
export interface StoredRegions {
  /** One for each source, in order: terms and range hashes. */
  readonly files: readonly ShardFile[];
  readonly xorbs: readonly ShardXorb[];
}

/**
 * Cuts, deduplicates and stores the new bytes of each region as an upload does with a file, but keeps
 * the records of these files here: they are parts of another one.
 */
export async function uploadRegions(
  options: EditFileOptions,
  regions: readonly NewBytes[],
  {
    store,
    scope,
    globalDedup,
  }: { readonly store: Store; readonly scope: Scope; readonly globalDedup: boolean },
): Promise<StoredRegions> {
  const files = new Map<string, ShardFile>();
  const xorbs: ShardXorb[] = [];
  const destination: UploadDestination = {
    xorbs: storeDestination(store, scope).xorbs,
    shards: {
      async register(bytes) {
        const shard = decodeShard(bytes);
        for (const file of shard.files) files.set(file.hash.toString(), file);
        xorbs.push(...shard.xorbs);
      },
    },
  };
  const { results } = await upload(options, regions, { destination, scope, globalDedup });
  return {
    files: results.map(
      ({ fileHash }) =>
        files.get(fileHash.toString()) ?? {
          hash: fileHash,
          terms: [],
          verification: [],
          sha256: null,
        },
    ),
    xorbs,
  };
}

/** Uploads the sources in one session. @throws OrbweaverError what failed first */
export async function upload(
  { cas, pool, hasher, clock, upload: uploadOptions, onProgress, memory, splices }: EditFileOptions,
  sources: readonly NewBytes[],
  {
    destination,
    scope,
    globalDedup,
  }: {
    readonly destination: UploadDestination;
    readonly scope: Scope;
    readonly globalDedup: boolean;
  },
): Promise<{ readonly results: readonly FileResult[]; readonly summary: UploadSummary }> {
  return scope.call(async (signal) => {
    const session = createUploadSession({
      ...{ cas, pool, hasher, clock, destination, journal: memory?.journal },
      // A second reader could hold the memory that the old bytes of the first one need.
      options: { ...uploadOptions, readConcurrency: 1, globalDedup, signal, onProgress },
    });
    try {
      if (memory !== undefined) {
        const trusts = splices.every(({ insert }) => insert?.reopenable !== false);
        await session.resume(memory.acknowledged(), { trusts });
      }
      const results = await Promise.all(
        sources.map(({ source, tree }) =>
          session.add(source, {
            onChunks: (hashes, lengths) => {
              for (const [i, length] of lengths.entries())
                tree?.push(hashes, HASH_BYTES * i, length);
            },
          }),
        ),
      );
      return { results, summary: await session.finish() };
    } catch (error) {
      session.abort(error);
      throw error;
    }
  });
}

/** Most bytes of a shard: what every server takes, with room for its footer. */
const SHARD_BYTES = 48 * 1024 * 1024;
const RECORD_BYTES = 48;

/**
 * Registers a file and lists the new xorbs: those that do not fit beside it in shards of their own.
 */
export async function registerFile(
  store: Store,
  file: ShardFile,
  { xorbs, scope }: { readonly xorbs: readonly ShardXorb[]; readonly scope: Scope },
): Promise<void> {
  let listed: ShardXorb[] = [];
  let listedBytes = RECORD_BYTES * 2 * file.terms.length;
  const send = async (files: readonly ShardFile[]): Promise<void> => {
    const shard = encodeShard({ files, xorbs: listed, footer: null }, { variant: 'upload' });
    await scope.call((signal) => store.putShard(shard, { signal }));
    listed = [];
    listedBytes = 0;
  };
  for (const xorb of xorbs) {
    const bytes = RECORD_BYTES * (1 + xorb.chunkLengths.length);
    if (listed.length > 0 && listedBytes + bytes > SHARD_BYTES) await send([]);
    listed.push(xorb);
    listedBytes += bytes;
  }
  await send([file]);
}
