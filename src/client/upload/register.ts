import { isOrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import { decodeShard, encodeShard, HashTable, type ShardFile } from '../../shard/index.js';
import type { ShardConsumer, UploadJournal } from '../ports.js';
import type { UploadProgress } from './types.js';

/** What registering needs. */
export interface RegisterOptions {
  /** Null: nothing is sent, only counted. */
  readonly consumer: ShardConsumer | null;
  readonly journal: UploadJournal;
  readonly shards: Iterable<Uint8Array>;
  /** All xorbs that this session's destination has acknowledged. */
  readonly acknowledged: HashTable;
  readonly scope: Scope;
  readonly onShard: (shard: Uint8Array) => void;
  /** How far the destination is with the shard at hand; null: it does not say. */
  readonly onProgress: (finalization: UploadProgress['finalization']) => void;
}

/** What became of the shards. */
export interface Registration {
  shardCount: number;
  shardBytes: number;
  /** Hash texts of files that the destination refused, for terms in xorbs that are not ours. */
  readonly refused: Map<string, Error>;
  /** Xorbs that are not ours, of those files. */
  readonly foreign: HashTable;
  /** Xorbs of ours that no shard lists, because the shard that did was refused. */
  readonly unlisted: HashTable;
}

/**
 * Registers shards one after another. When the destination refuses one that refers to xorbs which only
 * a response or a cache vouched for, that may have been a lie or be out of date: the files that do
 * not depend on it are registered without the others, and the others are reported, so that they can
 * be uploaded again without outside knowledge. A refusal that no such term explains is an error.
 *
 * @throws OrbweaverError what the consumer throws
 */
export async function registerShards(options: RegisterOptions): Promise<Registration> {
  const result: Registration = {
    shardCount: 0,
    shardBytes: 0,
    refused: new Map(),
    foreign: new HashTable(),
    unlisted: new HashTable(),
  };
  for (const shard of options.shards) {
    try {
      await register(options, shard, result);
    } catch (error) {
      if (!isDoubtful(error)) throw error;
      const { files, xorbs } = decodeShard(shard);
      // Xorbs without files are listed for the dedup of others only.
      if (files.length === 0) continue;
      const isOurs = (file: ShardFile): boolean =>
        file.terms.every(({ xorb }) => options.acknowledged.indexOf(xorb.bytes, 0) >= 0);
      const ours = files.filter(isOurs);
      if (ours.length === files.length) throw error;
      if (ours.length > 0) {
        const rest = encodeShard({ files: ours, xorbs, footer: null }, { variant: 'upload' });
        await register(options, rest, result);
      } else {
        for (const { hash } of xorbs) result.unlisted.add(hash.bytes, 0);
      }
      for (const file of files) {
        if (isOurs(file)) continue;
        result.refused.set(file.hash.toString(), error as Error);
        for (const { xorb } of file.terms) {
          const isForeign = options.acknowledged.indexOf(xorb.bytes, 0) < 0;
          if (isForeign) result.foreign.add(xorb.bytes, 0);
        }
      }
    }
  }
  return result;
}

async function register(
  options: RegisterOptions,
  shard: Uint8Array,
  result: Registration,
): Promise<void> {
  const { consumer, journal, scope, onShard, onProgress } = options;
  scope.check();
  if (consumer !== null) {
    const told = (verified: number, total: number): void => onProgress({ verified, total });
    await scope.call((signal) => consumer.register(shard, { signal, onProgress: told }));
    await journal.onRegistered?.(shard);
  }
  result.shardCount++;
  result.shardBytes += shard.length;
  onShard(shard);
  onProgress(null);
}

/** Codes by which a destination may say that a term points to nothing it has. */
function isDoubtful(error: unknown): boolean {
  return isOrbweaverError(error) && (error.code === 'REJECTED' || error.code === 'NOT_FOUND');
}
