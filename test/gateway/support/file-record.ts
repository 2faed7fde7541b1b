import { encodeShard, type ShardFile } from '../../../src/shard/index.js';

/** The object that has the terms of a file, as it is stored. */
export function fileRecord(file: ShardFile): Uint8Array {
  return encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'stored' });
}
