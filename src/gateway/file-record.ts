import type { MerkleHash } from '../hash/index.js';
import {
  createShardReader,
  encodeShardInSteps,
  pushInSteps,
  type ShardFile,
} from '../shard/index.js';
import { damaged } from './failures.js';
import { fileKey, piecesOfObject } from './keys.js';
import type { ObjectStore } from './ports.js';
import { inSteps, pause } from './turns.js';

/**
 * File records that are objects: `files/<hash>` is a shard in stored form with this one file and no
 * xorbs. No format of its own, so every tool that reads shards reads it.
 */

/** Bytes of the record of `file`, made with others served meanwhile: it may have a million terms. */
export function encodeLongRecord(file: ShardFile): Promise<Uint8Array> {
  const shard = { files: [file], xorbs: [], footer: null };
  return inSteps(encodeShardInSteps(shard, { variant: 'stored' }));
}

/** @throws OrbweaverError `INTEGRITY`, also when it is gone */
export async function readRecord(store: ObjectStore, hash: MerkleHash): Promise<ShardFile> {
  const reader = createShardReader();
  let file: ShardFile | undefined;
  try {
    for await (const piece of piecesOfObject(store, fileKey(hash))) {
      const events = await inSteps(pushInSteps(reader, piece));
      for (const event of events) if (event.type === 'file') file ??= event.file;
      await pause();
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
