import { MerkleHash } from '../../hash/index.js';
import { damaged } from '../failures.js';
import { OBJECT_ID, SHA256_HEX } from './ids.js';

/**
 * Trees and commits, as JSON that is always written the same way, so that what is equal has one name.
 *
 *   tree     {"v":1,"entries":[…]}, by name in the order of its code units
 *     folder {"n":name,"t":tree}
 *     file   {"n":name,"s":size,"x":file hash,"h":SHA-256,"b":blob name of git,"l":true for Git LFS}
 *            of a bucket {"n":name,"s":size,"x":file hash,"m":changed,"u":uploaded}, in milliseconds
 *   commit   {"v":1,"repo":uid,"tree":tree,"parents":[…],"count":n,"author":…,"title":…,"message":…,"ms":time}
 */

/** A file in a tree. */
export interface FileEntry {
  readonly kind: 'file';
  readonly sizeBytes: number;
  /** What the store knows it by. */
  readonly file: MerkleHash;
  /** Empty in a bucket: nobody says it. */
  readonly sha256: string;
  /** What git calls it: the file itself, or its pointer where it is one of Git LFS. Empty in a bucket. */
  readonly blobId: string;
  /** Clients fetch it by its SHA-256, through Xet where they can. */
  readonly lfs: boolean;
  /** In a bucket: when the file was changed where it came from; when it came. Milliseconds since 1970. */
  readonly mtimeMs?: number | undefined;
  readonly uploadedMs?: number | undefined;
}

export interface FolderEntry {
  readonly kind: 'folder';
  readonly tree: string;
}

export type TreeEntry = FileEntry | FolderEntry;

/** Entries by name, in order. */
export type Tree = ReadonlyMap<string, TreeEntry>;

export interface Commit {
  /** Of the repository that it was made in, which no other repository has. */
  readonly repo: string;
  readonly tree: string;
  readonly parents: readonly string[];
  /** Commits from the first one to this one, along first parents. */
  readonly count: number;
  readonly author: string;
  readonly title: string;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

const encoder = new TextEncoder();

export function encodeTree(entries: Iterable<readonly [string, TreeEntry]>): Uint8Array {
  const rows = [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, entry]) =>
      entry.kind === 'folder'
        ? { n: name, t: entry.tree }
        : {
            n: name,
            s: entry.sizeBytes,
            x: entry.file.toString(),
            ...(entry.sha256 === '' ? {} : { h: entry.sha256, b: entry.blobId }),
            ...(entry.lfs ? { l: true } : {}),
            ...(entry.mtimeMs === undefined ? {} : { m: entry.mtimeMs }),
            ...(entry.uploadedMs === undefined ? {} : { u: entry.uploadedMs }),
          },
    );
  return encoder.encode(JSON.stringify({ v: 1, entries: rows }));
}

/** @throws OrbweaverError `INTEGRITY` */
export function decodeTree(id: string, bytes: Uint8Array): Tree {
  return decoding(`tree ${id}`, bytes, ({ entries }) => {
    const tree = new Map<string, TreeEntry>();
    for (const row of entries as readonly Row[]) {
      const name = text(row['n']);
      if (row['t'] !== undefined) {
        tree.set(name, { kind: 'folder', tree: matching(row['t'], OBJECT_ID) });
        continue;
      }
      tree.set(name, {
        kind: 'file',
        sizeBytes: count(row['s']),
        file: MerkleHash.parse(text(row['x'])),
        sha256: row['h'] === undefined ? '' : matching(row['h'], SHA256_HEX),
        blobId: row['h'] === undefined ? '' : matching(row['b'], OBJECT_ID),
        lfs: row['l'] === true,
        ...(row['m'] === undefined ? {} : { mtimeMs: count(row['m']) }),
        ...(row['u'] === undefined ? {} : { uploadedMs: count(row['u']) }),
      });
    }
    return tree;
  });
}

export function encodeCommit(commit: Commit): Uint8Array {
  const { repo, tree, parents, count, author, title, message, timeMs } = commit;
  return encoder.encode(
    JSON.stringify({ v: 1, repo, tree, parents, count, author, title, message, ms: timeMs }),
  );
}

/** @throws OrbweaverError `INTEGRITY` */
export function decodeCommit(id: string, bytes: Uint8Array): Commit {
  return decoding(`commit ${id}`, bytes, (row) => ({
    repo: text(row['repo']),
    tree: matching(row['tree'], OBJECT_ID),
    parents: (row['parents'] as readonly unknown[]).map((parent) => matching(parent, OBJECT_ID)),
    count: count(row['count']),
    author: text(row['author']),
    title: text(row['title']),
    message: text(row['message']),
    timeMs: count(row['ms']),
  }));
}

type Row = Readonly<Record<string, unknown>>;

function decoding<T>(what: string, bytes: Uint8Array, read: (row: Row) => T): T {
  try {
    const row = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Row;
    if (row['v'] !== 1) throw new TypeError(`"v" expected 1, got ${String(row['v'])}`);
    return read(row);
  } catch (cause) {
    throw damaged(`${what} cannot be read`, cause);
  }
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`expected a string, got ${typeof value}`);
}

function matching(value: unknown, form: RegExp): string {
  const found = text(value);
  if (form.test(found)) return found;
  throw new TypeError(`"${found.slice(0, 80)}" has the wrong form`);
}

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new TypeError('expected a count');
}
