import { OrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import type { Body } from '../http/index.js';
import type { ObjectReader, ObjectStore } from './ports.js';

/**
 * Where each thing lies in the object store. Everything is named by content, so every write may be
 * repeated, and two gateways over one store never disagree.
 *
 *   xorbs/<xorb>            chunk records and the footer that was rebuilt here
 *   shards/<shard>          a registered shard as written again here, named by its data-key hash
 *   files/<file>            the file's terms, where they take more than 4 KiB (all files, of an older store)
 *   index/<level>-<name>    the terms of all other files, and which shards know a chunk (`tables/`);
 *                           written last, so a file exists when all it needs does
 *   chunks/<chunk>/<shard>  of an older store: this shard can answer a dedup query for this chunk
 *   tenants/<tenant>/…      all of these for a tenant (`tenants.ts`)
 *   tenant-names/<tenant>   empty: there is such a tenant
 *   incoming/<grant>        a xorb that was put there by an upload grant, until it is committed or the
 *                           grant has expired; nothing refers to it
 */
export const xorbKey = (hash: MerkleHash): string => `xorbs/${hash}`;
export const SHARDS_PREFIX = 'shards/';
export const shardObjectKey = (hash: MerkleHash): string => SHARDS_PREFIX + hash;
export const FILES_PREFIX = 'files/';
export const fileKey = (hash: MerkleHash): string => FILES_PREFIX + hash;
export const TABLES_PREFIX = 'index/';
export const INCOMING_PREFIX = 'incoming/';
export const incomingKey = (grantId: string): string => INCOMING_PREFIX + grantId;
export const CHUNKS_PREFIX = 'chunks/';
export const chunkPrefix = (chunk: MerkleHash): string => `${CHUNKS_PREFIX}${chunk}/`;
export const chunkKey = (chunk: MerkleHash, shard: MerkleHash): string =>
  chunkPrefix(chunk) + shard;

/** Long enough that system calls do not show, short enough that handling one blocks nobody. */
const PIECE_BYTES = 256 * 1024;

/** Bytes `[0, end)` of an open object, in views of one buffer: each is valid until the next. */
export async function* piecesOfReader(
  reader: ObjectReader,
  end: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(Math.min(PIECE_BYTES, end));
  reader.expect?.(0, end);
  for (let at = 0; at < end; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, end - at));
    await reader.readAt(piece, at);
    yield piece;
  }
}

/** Bytes `[0, end)` of an open object, for who has memory for them. */
export function bodyOfReader(reader: ObjectReader, end: number): Pick<Body, 'fill'> {
  let at = 0;
  reader.expect?.(0, end);
  return {
    async fill(into) {
      const count = Math.min(into.length, PIECE_BYTES, end - at);
      if (count > 0) await reader.readAt(into.subarray(0, count), at);
      at += count;
      return count;
    },
  };
}

/** A whole object in such pieces. @throws OrbweaverError `NOT_FOUND` */
export async function* piecesOfObject(
  store: ObjectStore,
  key: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = await store.open(key);
  if (reader === null) throw new OrbweaverError('NOT_FOUND', `no object "${key}"`, { key });
  try {
    yield* piecesOfReader(reader, reader.sizeBytes);
  } finally {
    await reader.close();
  }
}
