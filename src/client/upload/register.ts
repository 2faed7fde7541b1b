import { isOrbweaverError } from '../../errors.js';
import { decodeShard, encodeShard, type ShardFile } from '../../shard/index.js';
import type { CasClient } from '../ports.js';
import type { CancelScope } from './cancel.js';

/** What registering needs. */
export interface RegisterOptions {
  /** Null: nothing is sent, only counted. */
  readonly cas: Pick<CasClient, 'putShard'> | null;
  readonly shards: Iterable<Uint8Array>;
  /** Hash texts of all xorbs that this session's server has acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  readonly scope: CancelScope;
  readonly onShard: ((shard: Uint8Array) => void) | undefined;
  readonly onProgress: () => void;
}

/** What became of the shards. */
export interface Registration {
  shardCount: number;
  shardBytes: number;
  /** Hash texts of files that the server refused, for terms in xorbs that are not ours. */
  readonly refused: Map<string, Error>;
}

/**
 * Registers shards one after another. When the server refuses one that refers to xorbs which only
 * an answer or a cache vouched for, that answer may have lied or be out of date: the files that do
 * not depend on it are registered without the others, and the others are reported, so that they can
 * be uploaded again without outside knowledge. A refusal that no such term explains is an error.
 *
 * @throws OrbweaverError what `putShard` throws
 */
export async function registerShards(options: RegisterOptions): Promise<Registration> {
  const result: Registration = { shardCount: 0, shardBytes: 0, refused: new Map() };
  for (const shard of options.shards) {
    try {
      await putShard(options, shard, result);
    } catch (error) {
      const doubted = isDoubtful(error) ? withoutOutside(options, shard) : null;
      if (doubted === null) throw error;
      if (doubted.rest !== null) await putShard(options, doubted.rest, result);
      for (const file of doubted.files) result.refused.set(file.hash.toString(), error as Error);
    }
  }
  return result;
}

async function putShard(
  options: RegisterOptions,
  shard: Uint8Array,
  result: Registration,
): Promise<void> {
  const { cas, scope, onProgress } = options;
  scope.check();
  if (cas !== null) {
    const child = scope.child();
    const { signal } = child;
    const put = cas.putShard(shard, { signal, onProgress: () => onProgress() });
    await scope.abortable(put).finally(child.end);
  }
  result.shardCount++;
  result.shardBytes += shard.length;
  options.onShard?.(shard);
  onProgress();
}

/** Codes by which a server may say that a term points to nothing it has. */
function isDoubtful(error: unknown): boolean {
  return isOrbweaverError(error) && (error.code === 'REJECTED' || error.code === 'NOT_FOUND');
}

/** The shard without the files that lean on foreign xorbs, and those files; null: there are none. */
function withoutOutside(
  options: RegisterOptions,
  bytes: Uint8Array,
): { readonly rest: Uint8Array | null; readonly files: readonly ShardFile[] } | null {
  const { files, xorbs } = decodeShard(bytes);
  const isOurs = (file: ShardFile): boolean =>
    file.terms.every(({ xorb }) => options.acknowledged.has(xorb.toString()));
  const outside = files.filter((file) => !isOurs(file));
  if (outside.length === 0) return null;
  const ours = files.filter(isOurs);
  const rest =
    ours.length === 0
      ? null
      : encodeShard({ files: ours, xorbs, footer: null }, { variant: 'upload' });
  return { rest, files: outside };
}
