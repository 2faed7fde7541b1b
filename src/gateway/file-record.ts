import type { MerkleHash } from '../hash/index.js';
import { createShardReader, encodeShard, type ShardFile } from '../shard/index.js';
import { damaged } from './failures.js';
import { fileKey, piecesOfObject } from './keys.js';
import type { ObjectStore } from './ports.js';

/**
 * File records that are objects: `files/<hash>` is a shard in stored form with this one file and no
 * xorbs. No format of its own, so every tool that reads shards reads it.
 */

/** Bytes of the record of `file`. */
export function encodeFileRecord(file: ShardFile): Uint8Array {
  return encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'stored' });
}

/** @throws OrbweaverError `INTEGRITY`, also when it is gone */
export async function readRecord(store: ObjectStore, hash: MerkleHash): Promise<ShardFile> {
  const reader = createShardReader();
  let file: ShardFile | undefined;
  try {
    for await (const piece of piecesOfObject(store, fileKey(hash))) {
      for (const event of reader.push(piece)) if (event.type === 'file') file ??= event.file;
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
