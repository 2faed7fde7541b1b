import { hexEncode } from '../../bytes/index.js';
import type { Clock } from '../../flow/index.js';
import type { RandomBytes } from '../../platform/index.js';
import { damaged, failure } from '../failures.js';
import type { ValueStore } from '../ports.js';
import { hubFailure } from './errors.js';
import {
  idOf,
  isPossible,
  REPOS_PREFIX,
  type RepoName,
  type RepoType,
  repoKey,
  typePrefix,
} from './names.js';

/**
 * A repository is one value: what it is called, and where each of its branches and tags points. It is
 * changed by compare-and-swap, so any number of gateways change it without losing what another did.
 */
export interface Repo extends RepoName {
  /** No other repository has it, also not a later one of the same name. */
  readonly uid: string;
  readonly isPrivate: boolean;
  readonly createdMs: number;
  readonly modifiedMs: number;
  /** `refs/heads/main` → commit. */
  readonly refs: Readonly<Record<string, string>>;
}

/** A value is at most 1 MiB, and a ref with a long name takes some 300 bytes. */
const MAX_REFS = 3000;
/** Tries of a change before somebody else may have a turn; each failed one means that another's succeeded. */
const MAX_TRIES = 20;

export interface Repos {
  /** Null: there is none of that name. */
  find(name: RepoName): Promise<Repo | null>;
  /** @throws OrbweaverError 404 `RepoNotFound` */
  get(name: RepoName): Promise<Repo>;
  /**
   * `refsOf` makes what the first refs point to.
   * @throws OrbweaverError 409 when there is one
   */
  create(
    name: RepoName,
    options: {
      readonly isPrivate: boolean;
      readonly refsOf?: ((repo: Repo) => Promise<Repo['refs']>) | undefined;
    },
  ): Promise<Repo>;
  /**
   * Changes a repository: `change` is given what it is now, as often as somebody else was faster, and
   * gives what it is to be; the same object is no change. What it throws ends it.
   * @throws OrbweaverError 404 `RepoNotFound`, 412 when others were always faster
   */
  change(name: RepoName, change: (repo: Repo) => Promise<Repo> | Repo): Promise<Repo>;
  /** @throws OrbweaverError 404 `RepoNotFound` */
  remove(name: RepoName): Promise<void>;
  /** All of a type, by name. */
  list(type: RepoType): AsyncIterable<Repo>;
}

export function createRepos(parts: {
  readonly values: ValueStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
}): Repos {
  const { values, clock, random } = parts;
  /** Changes of one repository, one after another: two requests to one gateway need not race. */
  const queues = new Map<string, Promise<unknown>>();

  function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = queues.get(key) ?? Promise.resolve();
    const result = before.then(work, work);
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    queues.set(key, settled);
    void settled.then(() => {
      if (queues.get(key) === settled) queues.delete(key);
    });
    return result;
  }

  async function read(key: string): Promise<{ repo: Repo; version: string } | null> {
    const value = await values.read(key);
    return value === null ? null : { repo: decodeRepo(key, value.bytes), version: value.version };
  }

  const missing = (name: RepoName): Error =>
    hubFailure(404, 'RepoNotFound', `Repository not found: ${name.type} ${idOf(name)}`);

  const repos: Repos = {
    async find(name) {
      if (!isPossible(name)) return null;
      return (await read(repoKey(name)))?.repo ?? null;
    },
    async get(name) {
      const repo = await repos.find(name);
      if (repo === null) throw missing(name);
      return repo;
    },
    async create(name, { isPrivate, refsOf }) {
      const exists = hubFailure(409, 'RepoExists', `You already created this ${name.type} repo`);
      if ((await repos.find(name)) !== null) throw exists;
      const now = clock.unixMs();
      const { type, namespace, name: own } = name;
      const bare: Repo = {
        ...{ type, namespace, name: own, isPrivate, refs: {} },
        uid: hexEncode(random(16)),
        createdMs: now,
        modifiedMs: now,
      };
      const repo = { ...bare, refs: (await refsOf?.(bare)) ?? {} };
      if ((await values.write(repoKey(name), encodeRepo(repo), null)) !== null) return repo;
      throw exists;
    },
    change: (name, change) =>
      inTurn(repoKey(name), async () => {
        const key = repoKey(name);
        for (let tries = 0; tries < MAX_TRIES; tries++) {
          const found = await read(key);
          if (found === null) throw missing(name);
          const changed = await change(found.repo);
          if (changed === found.repo) return changed;
          if (Object.keys(changed.refs).length > MAX_REFS) {
            throw failure(413, 'LIMIT_EXCEEDED', `a repository expected at most ${MAX_REFS} refs`);
          }
          const next = { ...changed, modifiedMs: clock.unixMs() };
          if ((await values.write(key, encodeRepo(next), found.version)) !== null) return next;
        }
        throw failure(
          412,
          'CONFLICT',
          'A commit has happened since. Please refresh and try again.',
        );
      }),
    remove: (name) =>
      inTurn(repoKey(name), async () => {
        for (;;) {
          const found = await values.read(repoKey(name));
          if (found === null) throw missing(name);
          if (await values.delete(repoKey(name), found.version)) return;
        }
      }),
    async *list(type) {
      const keys: string[] = [];
      for await (const { key } of values.list(REPOS_PREFIX)) {
        if (key.startsWith(typePrefix(type))) keys.push(key);
      }
      for (const key of keys.sort()) {
        const found = await read(key);
        if (found !== null) yield found.repo;
      }
    },
  };
  return repos;
}

function encodeRepo(repo: Repo): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ v: 1, ...repo }));
}

/** @throws OrbweaverError `INTEGRITY` */
export function decodeRepo(key: string, bytes: Uint8Array): Repo {
  try {
    const { v, ...repo } = JSON.parse(new TextDecoder().decode(bytes)) as Repo & { v: number };
    if (v !== 1 || typeof repo.uid !== 'string' || typeof repo.refs !== 'object') {
      throw new TypeError('expected a repository of version 1');
    }
    return repo;
  } catch (cause) {
    throw damaged(`"${key}" cannot be read`, cause);
  }
}
