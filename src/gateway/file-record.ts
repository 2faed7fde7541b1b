import type { MerkleHash } from '../hash/index.js';
import {
  createShardReader,
  encodeShard,
  encodeShardInSteps,
  type ShardFile,
} from '../shard/index.js';
import { damaged } from './failures.js';
import { fileKey, piecesOfObject } from './keys.js';
import type { ObjectStore } from './ports.js';
import { createYielder, inSteps } from './turns.js';

/**
 * File records that are objects: `files/<hash>` is a shard in stored form with this one file and no
 * xorbs. No format of its own, so every tool that reads shards reads it.
 */

/** Bytes of the record of `file`. */
export function encodeFileRecord(file: ShardFile): Uint8Array {
  return encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'stored' });
}

/** The same with others served meanwhile: a file may have a million terms. */
export function encodeLongRecord(file: ShardFile): Promise<Uint8Array> {
  const shard = { files: [file], xorbs: [], footer: null };
  return inSteps(encodeShardInSteps(shard, { variant: 'stored' }));
}

/** A record of a million terms is read in stretches of some milliseconds. */
const BYTES_PER_TURN = 256 * 1024;

/** @throws OrbweaverError `INTEGRITY`, also when it is gone */
export async function readRecord(store: ObjectStore, hash: MerkleHash): Promise<ShardFile> {
  const reader = createShardReader();
  const yieldAfter = createYielder(BYTES_PER_TURN);
  let file: ShardFile | undefined;
  try {
    for await (const piece of piecesOfObject(store, fileKey(hash))) {
      for (const event of reader.push(piece)) if (event.type === 'file') file ??= event.file;
      await yieldAfter(piece.length);
    }
    reader.finish();
  } catch (cause) {
    throw damaged(`the record of file ${hash} cannot be read`, cause);
  }
  if (file === undefined || !file.hash.equals(hash)) {
    throw damaged(`the record of file ${hash} belongs to another file`);
  }
  return file;
}
