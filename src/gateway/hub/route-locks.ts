import { hexEncode } from '../../bytes/index.js';
import type { HttpResponse } from '../../http/index.js';
import { failure, rejected } from '../failures.js';
import type { ValueStore } from '../ports.js';
import { jsonResponse } from '../responses.js';
import { hubFailure, LFS_JSON } from './errors.js';
import { isoTime, jsonObject, type RepoCall, type RepoRoute } from './kit.js';

/**
 * Locks of Git LFS: who says not to be disturbed at which file. All locks of a repository are one value,
 * changed by compare-and-swap.
 */
interface Lock {
  readonly id: string;
  readonly path: string;
  readonly locked_at: string;
  readonly owner: { readonly name: string };
}

export const LOCKS_PREFIX = 'hub-locks/';
const MAX_LOCKS = 2000;

export const lockRoutes: readonly RepoRoute[] = [
  { method: 'POST', path: '/locks', scope: 'append', body: 'small', handle: lock },
  { method: 'GET', path: '/locks', scope: 'read', handle: list },
  { method: 'POST', path: '/locks/verify', scope: 'append', body: 'small', handle: verify },
  { method: 'POST', path: '/locks/:id/unlock', scope: 'append', body: 'small', handle: unlock },
];

const lfsJson = (value: unknown, status = 200): HttpResponse =>
  jsonResponse(value, status, { 'content-type': LFS_JSON });

async function lock({ hub, call, user, name }: RepoCall): Promise<HttpResponse> {
  const { path } = await jsonObject(hub, call);
  if (typeof path !== 'string' || path === '') throw rejected('"path" expected a text');
  const { clock, random } = hub.services;
  const mine: Lock = {
    ...{ id: hexEncode(random(8)), path: path.slice(0, 4096), owner: { name: user } },
    locked_at: isoTime(clock.unixMs()),
  };
  let taken: Lock | undefined;
  await changeLocks({ hub, name }, (locks) => {
    taken = locks.find((each) => each.path === path);
    if (taken !== undefined) return locks;
    if (locks.length >= MAX_LOCKS) {
      throw failure(413, 'LIMIT_EXCEEDED', `a repository expected at most ${MAX_LOCKS} locks`);
    }
    return [...locks, mine];
  });
  if (taken === undefined) return lfsJson({ lock: mine }, 201);
  return lfsJson({ lock: taken, message: 'already created lock' }, 409);
}

async function list({ hub, name, query }: RepoCall): Promise<HttpResponse> {
  const [path, id] = [query.get('path'), query.get('id')];
  const locks = (await locksOf({ hub, name })).filter(
    (each) => (path === null || each.path === path) && (id === null || each.id === id),
  );
  return lfsJson({ locks });
}

async function verify({ hub, name, user }: RepoCall): Promise<HttpResponse> {
  const locks = await locksOf({ hub, name });
  const isOurs = ({ owner }: Lock): boolean => owner.name === user;
  return lfsJson({ ours: locks.filter(isOurs), theirs: locks.filter((each) => !isOurs(each)) });
}

async function unlock({ hub, call, name, param, user }: RepoCall): Promise<HttpResponse> {
  const { force } = await jsonObject(hub, call);
  let found: Lock | undefined;
  await changeLocks({ hub, name }, (locks) => {
    found = locks.find(({ id }) => id === param('id'));
    if (found === undefined) throw hubFailure(404, 'EntryNotFound', 'there is no such lock');
    if (found.owner.name !== user && force !== true) {
      throw failure(403, 'FORBIDDEN', `the lock belongs to ${found.owner.name}; force takes it`);
    }
    return locks.filter((each) => each !== found);
  });
  return lfsJson({ lock: found });
}

type OfRepo = Pick<RepoCall, 'hub' | 'name'>;

/** Nobody has locked anything in a repository to which nothing was sent yet. */
async function locksOf({ hub, name }: OfRepo): Promise<readonly Lock[]> {
  const repo = await hub.repos.find(name);
  if (repo === null && name.type === 'git') return [];
  const { uid } = repo ?? (await hub.repos.get(name));
  const value = await valuesOf(hub).read(LOCKS_PREFIX + uid);
  return value === null ? [] : parse(value.bytes);
}

async function changeLocks(
  { hub, name }: OfRepo,
  change: (locks: readonly Lock[]) => readonly Lock[],
): Promise<void> {
  const { uid } = await hub.repos.get(name);
  const key = LOCKS_PREFIX + uid;
  const values = valuesOf(hub);
  for (;;) {
    const value = await values.read(key);
    const locks = value === null ? [] : parse(value.bytes);
    const changed = change(locks);
    if (changed === locks) return;
    const bytes = new TextEncoder().encode(JSON.stringify(changed));
    if ((await values.write(key, bytes, value?.version ?? null)) !== null) return;
  }
}

const parse = (bytes: Uint8Array): readonly Lock[] =>
  JSON.parse(new TextDecoder().decode(bytes)) as Lock[];

function valuesOf({ services }: Pick<RepoCall['hub'], 'services'>): ValueStore {
  return services.store.values as ValueStore;
}
