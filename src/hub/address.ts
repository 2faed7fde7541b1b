import { OrbweaverError } from '../errors.js';

/** Kinds of repositories of the Hub. */
export type RepoType = 'model' | 'dataset' | 'space' | 'bucket';

/** A repository as an object. */
export interface RepoId {
  readonly type: RepoType;
  /** `namespace/name`, or the name alone of the oldest models. */
  readonly name: string;
}

/** A repository: an object, or `name`, `models/name`, `datasets/name`, `spaces/name`, `buckets/name`. */
export type RepoDesignation = RepoId | string;

/** A place in a repository, as `hf://` names it. */
export interface HubAddress {
  readonly repo: RepoId;
  /** Branch, tag or commit; null: none was named. */
  readonly revision: string | null;
  /** Path in the repository without slashes at its ends; empty: its top. */
  readonly path: string;
}

const TYPE_OF_PLURAL: Readonly<Record<string, RepoType>> = {
  models: 'model',
  datasets: 'dataset',
  spaces: 'space',
  buckets: 'bucket',
};

/** What the Hub takes in names of users, organisations and repositories. */
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$/;

export const HUB_SCHEME = 'hf://';

/** True for what {@link parseHubAddress} is to be asked about. */
export function isHubAddress(text: string): boolean {
  return text.toLowerCase().startsWith(HUB_SCHEME);
}

/**
 * Reads `hf://[models|datasets|spaces|buckets/]NAMESPACE/NAME[@REVISION][/PATH]`, as `huggingface_hub`
 * writes it. A revision that holds a slash is written with `%2F`.
 * @throws OrbweaverError `USAGE`
 * @example
 * parseHubAddress('hf://datasets/org/name@main/data/a.bin');
 */
export function parseHubAddress(text: string): HubAddress {
  const parts = text.slice(HUB_SCHEME.length).split('/');
  const type = TYPE_OF_PLURAL[parts[0] ?? ''];
  if (type !== undefined) parts.shift();
  const [namespace = '', named = '', ...path] = parts;
  const at = named.indexOf('@');
  const name = at < 0 ? named : named.slice(0, at);
  const revision = at < 0 ? null : decoded(named.slice(at + 1));
  if (!isHubAddress(text) || !SEGMENT.test(namespace) || !SEGMENT.test(name) || revision === '') {
    throw wrong(text);
  }
  if (revision !== null && type === 'bucket') {
    throw new OrbweaverError('USAGE', `"${text}" expected no revision: buckets have none`);
  }
  return {
    repo: { type: type ?? 'model', name: `${namespace}/${name}` },
    revision,
    path: checkRepoPath(path.filter((part) => part !== '').join('/'), true),
  };
}

/** The address that {@link parseHubAddress} reads so. */
export function hubAddressText({ repo: { type, name }, revision, path }: HubAddress): string {
  const at = revision === null ? '' : `@${encodeURIComponent(revision)}`;
  return `${HUB_SCHEME}${type}s/${name}${at}${path === '' ? '' : `/${path}`}`;
}

/** The repository that a designation means. @throws OrbweaverError `USAGE` */
export function repoOf(repo: RepoDesignation): RepoId {
  if (typeof repo === 'object') {
    const { type, name } = repo;
    if (Object.values(TYPE_OF_PLURAL).includes(type) && isRepoName(name)) return { type, name };
    throw new OrbweaverError('USAGE', `"repo" expected { type, name }, got "${type}/${name}"`);
  }
  const slash = repo.indexOf('/');
  const type = TYPE_OF_PLURAL[repo.slice(0, Math.max(0, slash))];
  const name = type === undefined ? repo : repo.slice(slash + 1);
  if (isRepoName(name)) return { type: type ?? 'model', name };
  throw new OrbweaverError('USAGE', `"repo" expected a name such as "org/model", got "${repo}"`);
}

function isRepoName(name: string): boolean {
  const parts = name.split('/');
  return parts.length <= 2 && parts.every((part) => SEGMENT.test(part));
}

/** A path of a repository. @throws OrbweaverError `UNSAFE_PATH` */
export function checkRepoPath(path: string, mayBeEmpty = false): string {
  const parts = path.split('/');
  const isSafe = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if ((path === '' && mayBeEmpty) || (isSafe && !/[\u0000-\u001f\\]/.test(path))) return path;
  throw new OrbweaverError(
    'UNSAFE_PATH',
    `a path in a repository expected names between slashes, got ${JSON.stringify(path)}`,
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

function wrong(text: string): OrbweaverError {
  return new OrbweaverError(
    'USAGE',
    `expected hf://NAMESPACE/NAME or hf://datasets/NAMESPACE/NAME[@REVISION][/PATH], got "${text}"`,
  );
}

/** Path of a repository below `/api/`. */
export function apiPath({ type, name }: RepoId): string {
  return `${type}s/${name}`;
}

/** Path of a repository in the addresses of its files and pages. */
export function pagePath({ type, name }: RepoId): string {
  return type === 'model' ? name : `${type}s/${name}`;
}

/** Each part of a path encoded, the slashes kept. */
export function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
