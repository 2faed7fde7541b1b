import { rejected } from '../failures.js';

/** Which repositories there can be, and where their values lie. */

/**
 * `bucket`: files without history. `git`: a git repository elsewhere, for which we keep the files of Git
 * LFS.
 */
export const REPO_TYPES = ['model', 'dataset', 'space', 'bucket', 'git'] as const;
export type RepoType = (typeof REPO_TYPES)[number];
/** Those that have branches and commits here. */
export const HUB_TYPES = ['model', 'dataset', 'space'] as const;
/** Those that Git LFS is spoken for. */
export const LFS_TYPES = ['model', 'dataset', 'space', 'git'] as const;

export interface RepoName {
  readonly type: RepoType;
  readonly namespace: string;
  readonly name: string;
}

/** First segments of paths that are something else. */
const RESERVED = ['api', 'v1', 'v2', 'models', 'datasets', 'spaces', 'buckets', 'git', 'health'];
const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;

/**
 * Checks a name that was given. Names are told apart without regard to case, so that they are the same
 * on every store.
 * @throws OrbweaverError 400
 */
export function repoName(type: RepoType, namespace: string, name: string): RepoName {
  for (const [part, text] of [
    ['namespace', namespace],
    ['name', name],
  ] as const) {
    if (!NAME.test(text) || text.includes('--') || text.includes('..') || text.endsWith('.git')) {
      throw rejected(
        `the ${part} of a repository expected 1 to 96 letters, digits, "-", "_" or ".", beginning with a letter or a digit, without "--", ".." or ".git" at its end, got "${text.slice(0, 100)}"`,
      );
    }
  }
  const key = repoKey({ type, namespace, name });
  if (key.length > REPOS_PREFIX.length + MAX_SEGMENT) {
    throw rejected(
      'the namespace and the name of a repository expected about 115 characters together',
    );
  }
  if (RESERVED.includes(namespace.toLowerCase())) {
    throw rejected(`"${namespace}" cannot be a namespace: paths of this server begin with it`);
  }
  return { type, namespace, name };
}

/** False for a name that no repository can have, and no store need be asked for. */
export function isPossible(repo: RepoName): boolean {
  const isShort = repoKey(repo).length <= REPOS_PREFIX.length + MAX_SEGMENT;
  return isShort && NAME.test(repo.namespace) && NAME.test(repo.name);
}

export const REPOS_PREFIX = 'hub-repos/';

/** Keys have three segments at most below those of a tenant, and no name has two dashes in a row. */
export const typePrefix = (type: RepoType): string => `${REPOS_PREFIX}${type}--`;
const MAX_SEGMENT = 128;

/** Where the value of a repository lies. */
export function repoKey({ type, namespace, name }: RepoName): string {
  return `${typePrefix(type)}${namespace.toLowerCase()}--${name.toLowerCase()}`;
}

/** `org/model`. */
export const idOf = ({ namespace, name }: RepoName): string => `${namespace}/${name}`;

/** Path of the page of a repository, which is also where its files and its LFS server lie. */
export function pathOf(repo: RepoName): string {
  return (
    (repo.type === 'model' ? '/' : `/${repo.type === 'git' ? 'git' : `${repo.type}s`}/`) +
    idOf(repo)
  );
}

const REF = /^(?!\/)(?!.*(?:\/\/|\.\.|@\{|\.lock(?:\/|$)|\/\.|\/$|\.$))[^\p{Cc} ~^:?*[\\]{1,200}$/u;

/** Checks the name of a branch or tag by the rules of git. @throws OrbweaverError 400 */
export function checkRefName(name: string): string {
  // HEAD is the default branch, whatever it is called.
  const isFree = !name.startsWith('.') && !name.startsWith('-') && name !== 'HEAD';
  if (REF.test(name) && isFree) return name;
  throw rejected(`"${name.slice(0, 100)}" is no name for a branch or a tag`);
}

/** Longest path of a file in a repository, and longest name in it, in bytes of UTF-8. */
const MAX_PATH_BYTES = 4096;
const MAX_NAME_BYTES = 255;

/**
 * The names of a path in a repository, in NFC as they came. What could leave a folder when it is written
 * to a disk, or change the git repository that is made of it, is refused.
 * @throws OrbweaverError 400
 */
export function pathParts(path: string): string[] {
  const parts = path.replace(/^\.?\/+/, '').split('/');
  const bad = parts.some(
    (part) =>
      part === '' ||
      part === '.' ||
      part === '..' ||
      part.toLowerCase() === '.git' ||
      Buffer.byteLength(part) > MAX_NAME_BYTES ||
      /[\p{Cc}\\]/u.test(part) ||
      /\p{Surrogate}/u.test(part),
  );
  if (bad || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw rejected(`"${path.slice(0, 200)}" is no path of a file in a repository`);
  }
  return parts;
}
