import { createHubEngine } from '../../../src/compose/hub-engine.js';
import type { HubEngine } from '../../../src/gateway/hub/index.js';
import {
  createGateway,
  createMemoryStore,
  type Gateway,
  type GatewayFault,
  type GatewayOptions,
  type ObjectStore,
  type Principal,
  type PrunedRepositories,
  type PruneOptions,
  pruneRepositories,
} from '../../../src/gateway/index.js';
import { loadKernels } from '../../../src/index.js';

/** A gateway with the Hub's endpoints, and short ways to talk to it. */

export const ORIGIN = 'http://hub.test';

/** Anything that JSON can be; tests look into it. */
export type Json = ReturnType<typeof JSON.parse>;

export interface HubRig {
  readonly gateway: Gateway;
  readonly store: ObjectStore;
  readonly faults: GatewayFault[];
  /** Sends; the bearer token is the id of one of the principals. */
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Response>;
  /** The same, expecting `status`, with the JSON of the response. */
  json(method: string, path: string, body?: unknown, status?: number): Promise<Json>;
  commit(repo: string, lines: readonly object[], branch?: string): Promise<Response>;
  close(): Promise<void>;
}

export const PRINCIPALS: Readonly<Record<string, Principal>> = {
  writer: { id: 'writer', scope: 'write' },
  other: { id: 'other', scope: 'write' },
  reader: { id: 'reader', scope: 'read' },
  tenant: { id: 'tenant', scope: 'write', tenant: 'acme' },
};

export function createEngine(): HubEngine {
  return createHubEngine({ workers: 0, maxMemory: 8 * 1024 * 1024 });
}

export async function createHubRig(
  parts: { store?: ObjectStore; engine?: HubEngine; options?: GatewayOptions | undefined } = {},
): Promise<HubRig> {
  const { hasher, codec } = await loadKernels();
  const engine = parts.engine ?? createEngine();
  const store = parts.store ?? createMemoryStore();
  const faults: GatewayFault[] = [];
  const gateway = createGateway({
    store,
    hasher,
    codec,
    hub: engine,
    authenticate: ({ headers }) =>
      PRINCIPALS[(headers['authorization'] ?? '').replace(/^Bearer /, '')] ?? null,
    options: { onFault: (fault) => faults.push(fault), ...parts.options },
  });
  const send: HubRig['send'] = (method, path, body, headers = {}) => {
    const isRaw = body instanceof Uint8Array || typeof body === 'string';
    const raw = body === undefined || isRaw ? body : JSON.stringify(body);
    return gateway.handle(
      new Request(path.startsWith('http') ? path : ORIGIN + path, {
        method,
        headers: {
          authorization: 'Bearer writer',
          ...(body === undefined || isRaw ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(raw === undefined ? {} : { body: raw as string }),
      }),
    );
  };
  return {
    gateway,
    store,
    faults,
    send,
    async json(method, path, body, status = 200) {
      const response = await send(method, path, body);
      const text = await response.text();
      if (response.status !== status)
        throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return text === '' ? null : JSON.parse(text);
    },
    commit: (repo, lines, branch = 'main') =>
      send(
        'POST',
        `/api/models/${repo}/commit/${encodeURIComponent(branch)}`,
        lines.map((line) => JSON.stringify(line)).join('\n'),
        { 'content-type': 'application/x-ndjson' },
      ),
    async close() {
      await gateway.close();
      if (parts.engine === undefined) await engine.close();
    },
  };
}

export const header = (summary: string, parentCommit?: string): object => ({
  key: 'header',
  value: { summary, description: '', ...(parentCommit === undefined ? {} : { parentCommit }) },
});

export const inline = (path: string, text: string | Uint8Array): object => ({
  key: 'file',
  value: { path, content: Buffer.from(text).toString('base64'), encoding: 'base64' },
});

export const lfsFile = (path: string, oid: string, size?: number): object => ({
  key: 'lfsFile',
  value: { path, algo: 'sha256', oid, ...(size === undefined ? {} : { size }) },
});

export const deleted = (path: string): object => ({ key: 'deletedFile', value: { path } });

/** Prunes what was there before this call, however young it is. */
export async function pruneNow(
  store: ObjectStore,
  options: Omit<PruneOptions, 'graceMs'>,
): Promise<PrunedRepositories> {
  // What was written in this millisecond is not older than it.
  await new Promise((resolve) => setTimeout(resolve, 10));
  return pruneRepositories(store, { ...options, graceMs: 0 });
}
