import { OrbweaverError } from '../errors.js';
import { HashTable } from './hash-table.js';
import { createShardReader, type ShardEvent, type ShardReaderOptions } from './reader.js';
import type { Shard, ShardFile, ShardFooter, ShardXorb } from './types.js';

/** Options of {@link decodeShard}. */
export type DecodeShardOptions = ShardReaderOptions;

/**
 * Reads a whole shard of any variant. With a footer it is read from the last 200 bytes; without
 * one `footer` is null and bytes after the xorb section are ignored. A file or xorb hash that comes
 * twice is kept once (the first). Either all files have verification hashes or none.
 *
 * The result owns its memory. What it says is not proven: `verifyShard` says whether it can be true.
 *
 * @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID`, `UNSUPPORTED`, `LIMIT_EXCEEDED`
 *
 * @example
 * const { files, xorbs } = decodeShard(bytes);
 * for (const file of files) console.log(`${file.hash}: ${file.terms.length} terms`);
 */
export function decodeShard(bytes: Uint8Array, options: DecodeShardOptions = {}): Shard {
  const reader = createShardReader(options);
  const files: ShardFile[] = [];
  const xorbs: ShardXorb[] = [];
  const fileHashes = new HashTable();
  const xorbHashes = new HashTable();
  let footer: ShardFooter | null = null;
  let verified: boolean | null = null;

  function take(event: ShardEvent): void {
    if (event.type === 'footer') {
      footer = event.footer;
    } else if (event.type === 'xorb') {
      if (xorbHashes.add(event.xorb.hash.bytes, 0) === xorbs.length) xorbs.push(event.xorb);
    } else {
      const has = event.file.verification !== null;
      if (verified !== null && has !== verified) {
        throw new OrbweaverError(
          'FORMAT_INVALID',
          `"verification" expected ${verified ? 'for every file' : 'for no file'}, got a mixture`,
          { field: 'verification', file: event.file.hash.toString() },
        );
      }
      verified = has;
      if (fileHashes.add(event.file.hash.bytes, 0) === files.length) files.push(event.file);
    }
  }

  for (const event of reader.push(bytes)) take(event);
  for (const event of reader.finish()) take(event);
  return { files, xorbs, footer };
}
