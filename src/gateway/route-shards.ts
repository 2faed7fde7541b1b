import type { Sequence } from '../bytes/index.js';
import { Scope } from '../flow/index.js';
import type { HttpResponse } from '../http/index.js';
import type { ShardFile } from '../shard/index.js';
import type { Call } from './call.js';
import { isDamage, rejected } from './failures.js';
import type { Claims } from './hub/claims.js';
import type { KeeperMark } from './keeper.js';
import { shardObjectKey, xorbKey } from './keys.js';
import { type ProgressLine, progressLines } from './progress-lines.js';
import { jsonResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { type CheckedShard, checkShard } from './shard-check.js';
import { receiveShard } from './shard-intake.js';
import { type Registration, registerShard } from './shard-register.js';
import { mapLimited } from './turns.js';

interface Parts {
  readonly services: GatewayServices;
  /** Told which files have which SHA-256; undefined: nobody asks for files by that. */
  readonly claims: Claims | undefined;
}

/** POST /v1/shards (one response at the end) and POST /v2/shards (progress as it goes). */
export function shardRoutes(services: GatewayServices, claims?: Claims): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/shards',
      isUnversioned: true,
      scope: 'append',
      body: 'shards',
      handle: async (call) => {
        const { result, shardHash } = await takeShard(
          { services, claims },
          call,
          call.request.signal,
        );
        return jsonResponse({ result, shard_hash: shardHash.toString() });
      },
    },
    {
      method: 'POST',
      path: '/v2/shards',
      scope: 'append',
      body: 'shards',
      handle: (call) => postV2({ services, claims }, call),
    },
  ];
}

/** The status goes out at once; the body is read and checked while the response is already open. */
async function postV2(parts: Parts, call: Call): Promise<HttpResponse> {
  const { services } = parts;
  const { body, finished } = progressLines({
    clock: services.clock,
    heartbeatMs: services.settings.heartbeatMs,
    work: async (tell, gone) => {
      tell({ type: 'validating', verified: 0, total: 0 });
      const signal = AbortSignal.any([gone, call.request.signal]);
      const { result } = await takeShard(parts, call, signal, tell);
      return { result };
    },
    onError: (error) => {
      call.request.body?.cancel(error);
      services.fault(call, error);
    },
  });
  services.background(finished);
  const headers = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-cache' };
  return { status: 200, headers, body };
}

/** Receives, checks and registers. Once the commit has begun, it ends, whoever is still listening. */
async function takeShard(
  { services, claims }: Parts,
  { request }: Call,
  signal: AbortSignal,
  tell: (line: ProgressLine) => void = () => undefined,
): Promise<Registration> {
  const { health, hasher, settings, memory, shardTurns, dedup, keeper } = services;
  const account = memory.shards.open(signal);
  const scope = new Scope({ signal, what: 'the request' });
  try {
    const shard = await receiveShard(request.body, account, (total) =>
      tell({ type: 'validating', verified: 0, total }),
    );
    return await shardTurns.take(scope, async () => {
      const mark = await keeper.begin();
      const checked = await checkShard(shard, {
        health,
        hasher,
        acceptUnverified: settings.acceptUnverifiedShards,
        oneIn: settings.dedupOneIn,
        signal,
        onProgress: (verified, total) => tell({ type: 'validating', verified, total }),
      });
      tell({ type: 'committing', stage: 'uploading' });
      const more = await newBytes(services, checked.files);
      const registration = await services.quota.hold(more, (came) => {
        const register = async (): Promise<Registration> => {
          const registered = await registerShard(checked, services);
          came(more);
          return registered;
        };
        return keptRegistration(register, { services, mark, checked });
      });
      await claims?.note(checked.files);
      tell({ type: 'committing', stage: 'syncing' });
      return registration;
    });
  } catch (error) {
    // What was just found to be damaged is in no dedup response from now on.
    if (isDamage((error as Error).cause)) dedup.forget();
    throw error;
  } finally {
    scope.close();
    account.release();
  }
}

/**
 * Registers, and answers only when what the files need stays: a collector that was at work meanwhile
 * has either seen the files, or is told of what they need, or has deleted some of it, which is a shard
 * that names what is not stored.
 */
async function keptRegistration(
  register: () => Promise<Registration>,
  parts: {
    readonly services: GatewayServices;
    readonly mark: KeeperMark;
    readonly checked: CheckedShard;
  },
): Promise<Registration> {
  const { services, mark, checked } = parts;
  const { keeper, store } = services;
  const registration = await register();
  const { xorbs } = checked.outline;
  const shard = shardObjectKey(registration.shardHash);
  if (await keeper.confirm(mark, [...xorbs.map(xorbKey), shard])) return registration;
  await mapLimited(xorbs, CONCURRENT_LOOKS, async (xorb) => {
    if ((await store.head(xorbKey(xorb))) !== null) return;
    throw rejected(`xorb ${xorb} is not stored any more: upload it before the shard`);
  });
  // Of the shard itself nothing depends but dedup.
  if ((await store.head(shard)) === null) await register();
  return registration;
}

const CONCURRENT_LOOKS = 16;

/**
 * What the files that are not registered yet come to: only the shard says it, so this is known when it has
 * been read. Nothing where nobody counts.
 */
async function newBytes(
  { quota, index }: GatewayServices,
  files: Sequence<ShardFile>,
): Promise<{ readonly logicalBytes: number }> {
  if (quota.quota === null) return { logicalBytes: 0 };
  // Each file is in the list once (`shard-intake.ts`).
  const sizes = await mapLimited(files, CONCURRENT_LOOKS, async (file) => {
    if ((await index.find(file.hash)) !== null) return 0;
    return file.terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
  });
  return { logicalBytes: sizes.reduce((sum, size) => sum + size, 0) };
}
