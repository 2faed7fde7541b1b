import { copyFile, link, readFile, stat, symlink, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { OrbweaverError } from '../errors.js';
import { checkPath } from '../folder/index.js';
import { commitOf, type HubEntry, type HubFileInfo, type RepoId } from '../hub/index.js';
import { makeFolder, writeFileAtomic } from '../io/index.js';
import type { HubParts } from './hub-parts.js';
import type { RepoAt } from './hub-types.js';

/**
 * A repository in the cache of the Python client, as huggingface_hub documents it: blobs by ETag, snapshots of
 * links to them by commit, refs that say which commit a branch was, and what each commit has.
 */
export interface HubCache {
  readonly commit: string;
  /** Folder of the snapshot. */
  readonly snapshot: string;
  /** Where a file lies, and whether it does. */
  blobOf(
    path: string,
    info: HubFileInfo,
  ): Promise<{ readonly blob: string; readonly isThere: boolean }>;
  /** Makes a file appear in the snapshot. Resolves to its path there. */
  show(path: string, blob: string): Promise<string>;
  /** Notes what the commit has in all: by that a snapshot with only some of it is told. */
  writeTree(entries: readonly HubEntry[]): Promise<void>;
  /** Notes which commit the revision means; last, when all is there. */
  writeRef(): Promise<void>;
}

/** @throws OrbweaverError `USAGE` for a bucket, `NOT_FOUND`… */
export async function openHubCache(
  parts: HubParts,
  { repo, revision }: RepoAt,
  folder: string,
  signal: AbortSignal,
): Promise<HubCache> {
  if (repo.type === 'bucket') {
    throw new OrbweaverError('USAGE', 'the cache of the Python client expected no bucket');
  }
  const isCommit = /^[0-9a-f]{40}$/.test(revision);
  const commit = isCommit ? revision : await commitOf(parts.http, repo, revision, signal);
  if (!/^[0-9a-f]{40,64}$/.test(commit)) {
    throw new OrbweaverError('FORMAT_INVALID', 'the Hub expected to name a commit by its hash');
  }
  const top = join(folder, cacheName(repo));
  const blobs = join(top, 'blobs');
  const snapshot = join(top, 'snapshots', commit);
  await makeFolder(blobs);
  await makeFolder(snapshot);
  return {
    commit,
    snapshot,
    async blobOf(path, { etag, size }) {
      if (!/^[0-9a-f]{40}$|^[0-9a-f]{64}$/.test(etag)) {
        throw new OrbweaverError('FORMAT_INVALID', `the Hub expected to tell a hash of "${path}"`);
      }
      const blob = join(blobs, etag);
      const there = await stat(blob).catch(() => null);
      return { blob, isThere: there?.size === size };
    },
    async show(path, blob) {
      const shown = join(snapshot, ...path.split('/'));
      await makeFolder(dirname(shown));
      await linkTo(blob, shown);
      return shown;
    },
    async writeTree(entries) {
      await write(join(top, 'trees', `${commit}.json`), JSON.stringify(treeOf(entries), null, 1));
    },
    async writeRef() {
      if (isCommit) return;
      checkPath(revision, 'native');
      await write(join(top, 'refs', ...revision.split('/')), commit);
    },
  };
}

function cacheName({ type, name }: RepoId): string {
  return [`${type}s`, ...name.split('/')].join('--');
}

async function write(path: string, text: string): Promise<void> {
  const known = await readFile(path, 'utf8').catch(() => '');
  if (known === text) return;
  await makeFolder(dirname(path));
  await writeFileAtomic(path, new TextEncoder().encode(text));
}

/** The form of huggingface_hub 2.4. */
function treeOf(entries: readonly HubEntry[]): object {
  const files = entries
    .filter(({ type }) => type === 'file')
    .map(({ path, size, oid, lfs, xetHash }) => {
      const large = lfs === undefined ? {} : { lfs_sha256: lfs.oid, lfs_size: lfs.size };
      const stored = xetHash === undefined ? {} : { xet_hash: xetHash };
      return [path, { size, blob_id: oid, ...large, ...stored }] as const;
    });
  return { format_version: 1, files: Object.fromEntries(files) };
}

interface Links {
  symlink(target: string, path: string): Promise<void>;
  link(file: string, path: string): Promise<void>;
}

/** What systems say that have no links, or not for everybody. */
const NO_LINKS: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EINVAL',
]);

/**
 * Makes a file appear under a second path: by a link; where there are none, by a second name for it, and
 * where there are none either by a copy, as the Python client does.
 * @param links how links are made, for tests
 */
export async function linkTo(
  file: string,
  path: string,
  links: Links = { symlink, link },
): Promise<void> {
  const ways = [
    () => links.symlink(relative(dirname(path), file), path),
    () => links.link(file, path),
  ];
  for (const way of ways) {
    try {
      await way().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
        await unlink(path);
        await way();
      });
      return;
    } catch (error) {
      if (!NO_LINKS.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  await copyFile(file, path);
}
