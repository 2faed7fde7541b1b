import { MerkleHash } from '../../hash/index.js';
import type { Body } from '../../http/index.js';
import type { BodyAccount } from '../body-memory.js';
import { failure, rejected } from '../failures.js';
import { CHANGE_BYTES, linesOf } from './commit-body.js';
import { checkStored, MAIN, refOf, revisionMissing } from './commits.js';
import type { FileEntry } from './formats.js';
import { EMPTY_FILE, type Hub } from './hub.js';
import { pathParts, type RepoName } from './names.js';
import type { Repo } from './repos.js';
import { type Change, editTree } from './tree-edit.js';

/**
 * Buckets: files without history. What one holds is the only commit that it has; every change puts another
 * in its place, by compare-and-swap as everywhere.
 */

/** One line of a batch that could not be done. */
export interface FailedChange {
  readonly path: string;
  readonly error: string;
}

export interface BatchBody {
  readonly changes: readonly Change[];
  readonly failed: readonly FailedChange[];
}

/** Clients send 1000 at a time. */
const MAX_CHANGES = 20_000;

/**
 * Reads a batch: lines of JSON, a change each. What a line asks for that cannot be is told with its path,
 * and the others are done. `held` accounts for what is in memory.
 * @throws OrbweaverError 400, 413 for what is no batch
 */
export async function readBatch(
  hub: Hub,
  body: Body | null,
  held: BodyAccount,
): Promise<BatchBody> {
  const changes: Change[] = [];
  const failed: FailedChange[] = [];
  const hold = (lineBytes: number): Promise<void> =>
    held.grow(lineBytes + (changes.length + failed.length) * CHANGE_BYTES);
  for await (const line of linesOf(body, hold)) {
    if (changes.length + failed.length >= MAX_CHANGES) {
      throw failure(413, 'LIMIT_EXCEEDED', `a batch expected at most ${MAX_CHANGES} changes`);
    }
    const { type, path, ...rest } = parseLine(line);
    if (typeof path !== 'string') throw rejected('"path" of a line expected a text');
    try {
      const parts = pathParts(path);
      if (type === 'deleteFile') changes.push({ kind: 'delete', path: parts, missingOk: true });
      else if (type === 'addFile' || type === 'copyFile') {
        changes.push({ kind: 'put', path: parts, file: await entryOf(hub, rest) });
      } else throw rejected(`"type" of a line expected addFile, copyFile or deleteFile`);
    } catch (error) {
      failed.push({ path, error: (error as Error).message });
    }
  }
  return { changes, failed };
}

type Line = Readonly<Record<string, unknown>>;

function parseLine(line: Uint8Array): Line {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
    if (typeof json === 'object' && json !== null) return json as Line;
  } catch (cause) {
    throw rejected('a line of the body expected JSON', cause);
  }
  throw rejected('a line of the body expected an object');
}

/** A file that is stored here, by its hash: sent before, or another bucket's or repository's. */
async function entryOf(hub: Hub, { xetHash, mtime }: Line): Promise<FileEntry> {
  if (typeof xetHash !== 'string' || !/^[0-9a-f]{64}$/i.test(xetHash)) {
    throw rejected('"xetHash" expected 64 hexadecimal digits');
  }
  const file = MerkleHash.parse(xetHash.toLowerCase());
  const record = file.equals(EMPTY_FILE) ? { terms: [] } : await hub.services.index.file(file);
  if (record === null) throw rejected(`the file ${file} is not stored here: send it first`);
  const uploadedMs = hub.services.clock.unixMs();
  const isTime = typeof mtime === 'number' && Number.isFinite(mtime) && mtime >= 0;
  return {
    kind: 'file',
    sizeBytes: record.terms.reduce((sum, term) => sum + term.unpackedBytes, 0),
    ...{ file, sha256: '', blobId: '', lfs: true },
    mtimeMs: isTime ? Math.min(Math.round(mtime), Number.MAX_SAFE_INTEGER) : uploadedMs,
    uploadedMs,
  };
}

/** Puts what `changes` make of a bucket in the place of what it holds. @throws OrbweaverError 404 */
export async function changeBucket(
  hub: Hub,
  name: RepoName,
  changes: readonly Change[],
  author: string,
): Promise<void> {
  const { objects, clock } = hub;
  await hub.repos.change(name, async (repo) => {
    const before = await objects.commit(headOf(repo));
    const tree = await editTree(objects, before.tree, changes);
    if (tree === before.tree) return repo;
    await checkStored(hub, changes);
    const id = await objects.putCommit({
      ...{ repo: repo.uid, tree, parents: [], count: 1, author },
      ...{ title: 'batch', message: '', timeMs: clock.unixMs() },
    });
    return { ...repo, refs: { ...repo.refs, [MAIN]: id } };
  });
}

/** The tree of what a bucket holds. */
export async function bucketTree(hub: Hub, name: RepoName): Promise<string> {
  return (await hub.objects.commit(headOf(await hub.repos.get(name)))).tree;
}

function headOf({ refs }: Repo): string {
  const head = refOf(refs, MAIN);
  if (head === null) throw revisionMissing('main');
  return head;
}
