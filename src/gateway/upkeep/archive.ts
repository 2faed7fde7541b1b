import type { BlockCodec } from '../../compress/ports.js';
import { OrbweaverError } from '../../errors.js';
import { throwIfAborted } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { decodeShard, encodeShard, type ShardFile, type ShardXorb } from '../../shard/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../../xorb/index.js';
import { listXorb } from '../dedup-build.js';
import { damaged } from '../failures.js';
import { xorbKey } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';
import { createXorbCatalog } from '../xorb-catalog.js';
import { createCarrier } from './carry.js';
import { hashOfKey } from './reach.js';
import { findXorbDamage } from './scrub-xorb.js';

/**
 * Files as one archive of objects: `xorbs/<hash>` as a store keeps them, all that the files need, and then
 * `shards/<number>`, which register the files. Which kind of archive that is says the caller.
 */
export interface ArchiveEntry {
  readonly name: string;
  /** All of it. At most `maxBytes`, else an error. */
  read(maxBytes: number): Promise<Uint8Array>;
}

interface Parts {
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  readonly signal?: AbortSignal | undefined;
}

/** What an archive holds, or what of it a store has now. */
export interface Archived {
  readonly files: readonly string[];
  readonly xorbs: number;
  readonly bytes: number;
}

const FILES_IN_A_SHARD = 1024;
const CACHE_BYTES = 16 * 1024 * 1024;
/** A shard of so many files of many terms each; above it an archive is no archive of ours. */
const SHARD_ENTRY_MAX_BYTES = 64 * 1024 * 1024;
const XORB_ENTRY_MAX_BYTES = XORB_ACCEPT_MAX_BYTES + 8 * 1024 * 1024;

/**
 * Writes the files and all they need, one object in memory at a time.
 * @throws OrbweaverError `NOT_FOUND` for a file that is not registered, before anything is written;
 * `INTEGRITY` for one that is damaged
 */
export async function exportFiles(
  store: ObjectStore,
  hashes: readonly MerkleHash[],
  write: (name: string, bytes: Uint8Array) => Promise<void>,
  { hasher, codec, signal }: Parts,
): Promise<Archived> {
  const index = createStoreIndex({ store, hasher });
  const catalog = createXorbCatalog({ store, hasher, cacheBytes: CACHE_BYTES });
  for (const hash of hashes) {
    if ((await index.find(hash)) !== null) continue;
    throw new OrbweaverError('NOT_FOUND', `the store has no file ${hash}`, { file: `${hash}` });
  }
  const written = new Set<string>();
  const files = new Set<string>();
  let bytes = 0;
  let batch: ShardFile[] = [];
  let listed: ShardXorb[] = [];
  let shards = 0;
  const writeShard = async (): Promise<void> => {
    if (batch.length === 0) return;
    const shard = { files: batch, xorbs: listed, footer: null };
    await write(`shards/${shards++}`, encodeShard(shard, { variant: 'stored' }));
    batch = [];
    listed = [];
  };
  for (const hash of hashes) {
    if (files.has(hash.toString())) continue;
    files.add(hash.toString());
    const record = await index.file(hash);
    if (record === null) throw damaged(`file ${hash} was removed meanwhile`);
    for (const { xorb } of record.terms) {
      if (written.has(xorb.toString())) continue;
      throwIfAborted(signal, 'the archive');
      const object = await store.read(xorbKey(xorb));
      if (object === null || findXorbDamage(xorb, object, { hasher, codec }) !== 'none') {
        throw damaged(`xorb ${xorb} of file ${hash}`);
      }
      await write(xorbKey(xorb), object);
      written.add(xorb.toString());
      bytes += object.length;
      const known = await catalog.get(xorb);
      if (known !== null) listed.push(listXorb(known));
    }
    if (batch.push(record) === FILES_IN_A_SHARD) await writeShard();
  }
  await writeShard();
  return { files: [...files], xorbs: written.size, bytes };
}

/**
 * Takes an archive into a store. Every xorb is hashed before it is stored, and every file rebuilt from the
 * hashes of its chunks before it is registered. What is there is not stored again.
 * @throws OrbweaverError `INTEGRITY` for what is not what its name says; `FORMAT_INVALID` for what is no
 * such archive
 */
export async function importFiles(
  store: ObjectStore,
  entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>,
  { hasher, codec, signal }: Parts,
): Promise<Archived> {
  const carrier = createCarrier({ store, hasher, codec, clock: SYSTEM_CLOCK });
  const files: string[] = [];
  let xorbs = 0;
  let bytes = 0;
  for await (const { name, read } of entries) {
    throwIfAborted(signal, 'the archive');
    const hash = hashOfKey(name);
    if (name.startsWith('xorbs/') && hash !== null) {
      if (await carrier.hasXorb(hash)) continue;
      const object = await read(XORB_ENTRY_MAX_BYTES);
      if (!(await carrier.putXorb(hash, object))) {
        throw new OrbweaverError('INTEGRITY', `"${name}" of the archive has other bytes`);
      }
      xorbs++;
      bytes += object.length;
    } else if (/^shards\/\d+$/.test(name)) {
      const shard = await read(SHARD_ENTRY_MAX_BYTES);
      const { files: all } = decodeShard(shard);
      const [left] = await carrier.register(all, shard);
      if (left !== undefined) {
        const message = `the archive does not have what file ${left.hash} needs`;
        throw new OrbweaverError('INTEGRITY', message);
      }
      files.push(...all.map((file) => file.hash.toString()));
    } else {
      throw new OrbweaverError('FORMAT_INVALID', `the archive has an entry "${name}"`);
    }
  }
  return { files, xorbs, bytes };
}
