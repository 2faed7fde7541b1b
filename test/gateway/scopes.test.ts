import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway/index.js';
import type { Route } from '../../src/gateway/router.js';
import { TOKEN_SCOPES } from '../../src/gateway/scopes.js';
import { createEngine } from './hub/rig.js';
import { codec, hasher, makeRequest } from './support/rig.js';

/**
 * Every endpoint that a gateway can have, and who may use it. An endpoint that is new fails here until it is
 * in the table.
 */

const offered = vi.hoisted(() => ({ routes: [] as Route[] }));
vi.mock('../../src/gateway/router.js', async (original) => {
  const router = await original<typeof import('../../src/gateway/router.js')>();
  return {
    ...router,
    createRouter: (routes: readonly Route[]) => {
      offered.routes = [...routes];
      return router.createRouter(routes);
    },
  };
});

/** `R` is a repository of each kind with its API, `F` where its files lie, `L` its server of Git LFS. */
const TABLE: Readonly<Record<string, string>> = {
  // Nobody is asked for a token: the URL is signed, or there is nothing to protect.
  none: `
    GET,HEAD /health
    GET,HEAD /ready
    GET,HEAD /v1/fetch/:xorb
    PUT /v1/xorb-uploads/:xorb/:grant
    GET,PUT /lfs-objects/:oid
    GET,HEAD /ui
    GET,HEAD /ui/
    GET,HEAD /ui/*file`,
  ask: `
    GET /v1/chunks/:prefix/:chunk
    POST /v1/chunks/:prefix
    HEAD /v1/files/:file
    HEAD /v1/xorbs/:prefix/:xorb
    POST /v1/telemetry
    GET /api/whoami-v2
    POST /api/validate-yaml
    POST L/objects/batch
    POST L/objects/verify
    GET /ui/api/session`,
  read: `
    GET,POST /v1/reconstructions
    GET /v1/reconstructions/:file
    GET /v2/reconstructions/:file
    GET /v2/file-chunk-hashes/:file
    GET /api/organizations/:namespace/settings/repositories
    GET /api/settings/git-repositories
    GET /api/settings/repositories
    GET /api/buckets/:namespace
    GET /api/buckets/:namespace/:name
    GET /api/buckets/:namespace/:name/tree
    GET /api/buckets/:namespace/:name/tree/*path
    GET /api/buckets/:namespace/:name/xet-read-token
    POST /api/buckets/:namespace/:name/paths-info
    GET,HEAD /buckets/:namespace/:name/resolve/*path
    GET T
    GET R
    GET R/auth-check
    GET,HEAD R/commits/:rev
    GET R/discussions
    GET R/discussions/:num
    GET R/refs
    GET R/revision/:rev
    GET R/tree/:rev
    GET R/tree/:rev/*path
    GET R/xet-read-token/:rev
    GET /git/:namespace/:name/xet-read-token/:rev
    POST R/paths-info/:rev
    GET,HEAD F/raw/:rev/*path
    GET,HEAD F/resolve/:rev/*path
    GET L/locks
    GET /ui/api/store
    GET /ui/api/now
    GET /ui/api/history`,
  append: `
    POST /v1/shards
    POST /v2/shards
    POST /v1/xorbs/:prefix/:xorb
    POST /v1/xorb-grants/:prefix/:xorb
    POST /v1/xorb-commits/:prefix/:xorb/grant/:grant
    GET R/xet-write-token/:rev
    GET /git/:namespace/:name/xet-write-token/:rev
    GET /api/buckets/:namespace/:name/xet-write-token
    POST L/locks
    POST L/locks/:id/unlock
    POST L/locks/verify`,
  write: `
    POST /api/repos/create
    DELETE /api/repos/delete
    POST,DELETE /api/buckets/:namespace/:name
    POST /api/buckets/:namespace/:name/batch
    PUT /api/buckets/:namespace/:name/settings
    POST R/preupload/:rev
    POST R/commit/:rev
    POST,DELETE R/branch/*branch
    POST,DELETE R/tag/*tag
    POST R/super-squash/:rev
    POST R/lfs-files/duplicate
    POST R/discussions
    POST R/discussions/:num/comment
    POST R/discussions/:num/merge
    POST R/discussions/:num/status
    POST R/discussions/:num/title
    PUT R/settings`,
  admin: 'GET /metrics',
};

/** Which tokens of read, append, write and admin an endpoint takes. */
const ALLOWED: Readonly<Record<string, readonly boolean[]>> = {
  ask: [true, true, true, true],
  read: [true, false, true, true],
  append: [false, true, true, true],
  write: [false, false, true, true],
  admin: [false, false, false, true],
};

const TYPES = ['model', 'dataset', 'space'];
const spaceOf = (type: string): string => (type === 'model' ? '' : `/${type}s`);
const EXPANDED: Readonly<Record<string, readonly string[]>> = {
  T: TYPES.map((type) => `/api/${type}s`),
  R: TYPES.map((type) => `/api/${type}s/:namespace/:name`),
  F: TYPES.map((type) => `${spaceOf(type)}/:namespace/:name`),
  L: [...TYPES.map(spaceOf), '/git'].map((base) => `${base}/:namespace/:name/info/lfs`),
};

/** `METHOD /path` → what it needs. */
function expected(): Map<string, string> {
  const needs = new Map<string, string>();
  for (const [need, lines] of Object.entries(TABLE)) {
    for (const line of lines.trim().split(/\n\s*/)) {
      const [methods = '', path = ''] = line.split(' ');
      const [letter = ''] = path;
      const bases = EXPANDED[letter];
      const paths = bases?.map((base) => base + path.slice(1)) ?? [path];
      for (const each of paths) {
        for (const method of methods.split(',')) needs.set(`${method} ${each}`, need);
      }
    }
  }
  return needs;
}

const engine = createEngine();
let gateway: Gateway;
beforeAll(() => {
  const metrics = {
    requestBegan: () => undefined,
    requestEnded: () => undefined,
    storeOperation: () => undefined,
    dedupAsked: () => undefined,
    read: async () => ({ contentType: 'text/plain', text: '' }),
  };
  gateway = createGateway({
    ...{ store: createMemoryStore(), hasher, codec, hub: engine, options: { metrics } },
    ui: { files: [{ path: 'index.html', bytes: new Uint8Array(1) }] },
    authenticate: ({ headers }) => {
      const id = headers['authorization']?.replace(/^Bearer /, '') ?? '';
      const scope = TOKEN_SCOPES.find((each) => each === id);
      return scope === undefined ? null : { id, scope };
    },
  });
});
afterAll(async () => {
  await gateway.close();
  await engine.close();
});

async function statusFor(route: Route, token: string | null): Promise<number> {
  const path = route.path.replace(/:(file|xorb|chunk|oid)/g, 'ab'.repeat(32)).replace(/[:*]/g, '');
  const hasBody = route.method !== 'GET' && route.method !== 'HEAD';
  const body = hasBody ? { body: new TextEncoder().encode('{}') } : {};
  const response = await gateway.handle(makeRequest(route.method, path, { token, ...body }));
  await response.arrayBuffer();
  return response.status;
}

describe('scopes', () => {
  it('are those of the table, for every endpoint', () => {
    const found = offered.routes.map(
      ({ method, path, scope }) => [`${method} ${path}`, scope ?? 'none'] as const,
    );
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected()));
  });

  it('let everyone in who is in the table, and nobody else', async () => {
    const wrong: string[] = [];
    for (const route of offered.routes) {
      const allowed = ALLOWED[route.scope ?? ''];
      for (const [at, token] of [null, 'unknown', ...TOKEN_SCOPES].entries()) {
        const status = await statusFor(route, token);
        const isRight =
          allowed === undefined
            ? status !== 401
            : at < 2
              ? status === 401
              : allowed[at - 2] === true
                ? status !== 401 && status !== 403
                : status === 403;
        if (!isRight) wrong.push(`${route.method} ${route.path} with ${token}: ${status}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('of what a batch of Git LFS is to do hold as those of endpoints', async () => {
    const ask = async (operation: string, token: string): Promise<number> => {
      const body = new TextEncoder().encode(JSON.stringify({ operation, objects: [] }));
      const path = '/git/me/code/info/lfs/objects/batch';
      return (await gateway.handle(makeRequest('POST', path, { token, body }))).status;
    };
    const statuses = async (operation: string): Promise<number[]> => {
      const found: number[] = [];
      for (const scope of TOKEN_SCOPES) found.push(await ask(operation, scope));
      return found;
    };
    expect(await statuses('upload')).toEqual([403, 200, 200, 200]);
    expect(await statuses('download')).toEqual([200, 403, 200, 200]);
  });
});
