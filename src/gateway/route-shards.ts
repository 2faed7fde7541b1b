import { checkDeclaredLength } from './body.js';
import type { Call } from './call.js';
import type { GatewayAnswer, GatewayRequest } from './ports.js';
import { type ProgressLine, progressStream } from './progress-stream.js';
import { jsonAnswer } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { checkShard } from './shard-check.js';
import { MEMORY_PER_BODY_BYTE, receiveShard, SHARD_BODY_MAX_BYTES } from './shard-intake.js';
import { type Registration, registerShard } from './shard-register.js';

/** POST /v1/shards (one answer at the end) and POST /v2/shards (progress as it goes). */
export function shardRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/shards',
      scope: 'write',
      handle: async (call) => {
        checkDeclaredLength(call.request, SHARD_BODY_MAX_BYTES);
        const { result, shardHash } = await takeShard(services, call.request, call.request.signal);
        return jsonAnswer({ result, shard_hash: shardHash.toString() });
      },
    },
    {
      method: 'POST',
      path: '/v2/shards',
      scope: 'write',
      handle: (call) => postV2(services, call),
    },
  ];
}

/** The status goes out at once; the body is read and checked while the answer is already open. */
async function postV2(services: GatewayServices, call: Call): Promise<GatewayAnswer> {
  checkDeclaredLength(call.request, SHARD_BODY_MAX_BYTES);
  const { stream, finished } = progressStream({
    clock: services.clock,
    heartbeatMs: services.settings.heartbeatMs,
    work: async (tell, gone) => {
      tell({ type: 'validating', verified: 0, total: 0 });
      const signal = AbortSignal.any([gone, call.request.signal]);
      const { result } = await takeShard(services, call.request, signal, tell);
      return { result };
    },
    onError: (error) => services.fault(call, error),
  });
  services.background(finished);
  const headers = { 'content-type': 'application/x-ndjson', 'cache-control': 'no-cache' };
  return { status: 200, headers, body: stream };
}

/** Receives, checks and registers. Once the commit has begun, it ends, whoever is still listening. */
async function takeShard(
  services: GatewayServices,
  request: GatewayRequest,
  signal: AbortSignal,
  tell: (line: ProgressLine) => void = () => undefined,
): Promise<Registration> {
  const declared = checkDeclaredLength(request, SHARD_BODY_MAX_BYTES) ?? SHARD_BODY_MAX_BYTES;
  const release = await services.budget.acquire(declared * MEMORY_PER_BODY_BYTE, signal);
  try {
    const shard = await receiveShard(request, (total) =>
      tell({ type: 'validating', verified: 0, total }),
    );
    const checked = await checkShard(shard, {
      catalog: services.xorbs,
      hasher: services.hasher,
      acceptUnverified: services.settings.acceptUnverifiedShards,
      signal,
      onProgress: (verified, total) => tell({ type: 'validating', verified, total }),
    });
    tell({ type: 'committing', stage: 'uploading' });
    const registration = await registerShard(checked, services);
    tell({ type: 'committing', stage: 'syncing' });
    return registration;
  } finally {
    release();
  }
}
