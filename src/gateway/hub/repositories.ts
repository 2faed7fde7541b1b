import { SYSTEM_CLOCK, systemRandomBytes } from '../../platform/index.js';
import { failure, rejected } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import { createRepo, MAIN, squash } from './commits.js';
import type { HubBase } from './hub.js';
import { idOf, REPO_TYPES, type RepoName, type RepoType, repoName } from './names.js';
import { createHubObjects } from './objects.js';
import { createRepos, type Repo } from './repos.js';

/** A repository as it is listed. */
export interface RepositoryInfo {
  /** `model/org/name`. */
  readonly name: string;
  readonly isPrivate: boolean;
  readonly createdMs: number;
  readonly modifiedMs: number;
  /** Commit of the branch main; null: there is none. */
  readonly head: string | null;
  readonly refCount: number;
}

/**
 * Repositories of a store, for those who look after it; names are `TYPE/NAMESPACE/NAME`, types `model`,
 * `dataset`, `space`, `bucket` and `git`. Gateways over the store see at once what is changed here.
 */
export interface Repositories {
  /** @throws OrbweaverError `CONFLICT` when there is one of that name */
  create(name: string, options?: { readonly isPrivate?: boolean | undefined }): Promise<void>;
  /** All, or those of a type. */
  list(type?: string): AsyncIterable<RepositoryInfo>;
  /** Files that nothing else has stay until they are collected. @throws OrbweaverError `NOT_FOUND` */
  remove(name: string): Promise<void>;
  /**
   * Has a branch begin anew with what it holds now, and returns the commit that is its only one.
   * @throws OrbweaverError `NOT_FOUND`
   */
  squash(
    name: string,
    options?: { readonly branch?: string | undefined; readonly message?: string | undefined },
  ): Promise<string>;
}

/**
 * @param store the part of a tenant is `tenantStore(store, tenant)`
 * @throws OrbweaverError `UNSUPPORTED` for a store without values
 * @example
 * await openRepositories(store).create('model/org/name');
 */
export function openRepositories(store: ObjectStore): Repositories {
  const { values } = store;
  if (values === undefined) {
    throw failure(501, 'UNSUPPORTED', 'the store has no place for what changes: no repositories');
  }
  const clock = SYSTEM_CLOCK;
  const repos = createRepos({ values, clock, random: systemRandomBytes });
  const hub: HubBase = { repos, objects: createHubObjects(store, clock), clock };
  return {
    async create(name, { isPrivate = false } = {}) {
      await createRepo(hub, parseRepo(name), { isPrivate, author: AUTHOR });
    },
    async *list(type) {
      const types = type === undefined ? REPO_TYPES : [typeOf(type)];
      for (const each of types) for await (const repo of repos.list(each)) yield infoOf(repo);
    },
    remove: (name) => repos.remove(parseRepo(name)),
    squash: (name, { branch = 'main', message = `Squash ${branch}` } = {}) =>
      squash(hub, parseRepo(name), branch, message, AUTHOR),
  };
}

/** Whoever looks after the store. */
const AUTHOR = 'operator';

function infoOf(repo: Repo): RepositoryInfo {
  const { isPrivate, createdMs, modifiedMs, refs } = repo;
  return {
    name: `${repo.type}/${idOf(repo)}`,
    ...{ isPrivate, createdMs, modifiedMs },
    head: refs[MAIN] ?? null,
    refCount: Object.keys(refs).length,
  };
}

function parseRepo(text: string): RepoName {
  const [type, namespace, name, ...rest] = text.split('/');
  if (type === undefined || namespace === undefined || name === undefined || rest.length > 0) {
    throw rejected(`a repository expected TYPE/NAMESPACE/NAME, got "${text.slice(0, 200)}"`);
  }
  return repoName(typeOf(type), namespace, name);
}

function typeOf(text: string): RepoType {
  const type = REPO_TYPES.find((each) => each === text || `${each}s` === text);
  if (type !== undefined) return type;
  throw rejected(
    `the type of a repository expected ${REPO_TYPES.join(', ')}, got "${text.slice(0, 40)}"`,
  );
}
