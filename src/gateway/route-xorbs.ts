import type { MerkleHash } from '../hash/index.js';
import type { HttpResponse } from '../http/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { bodyLength, drainBody } from './body.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import { failure, isDamage } from './failures.js';
import { xorbKey } from './keys.js';
import { emptyResponse, jsonResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import type { XorbState } from './xorb-health.js';
import { takeXorb } from './xorb-intake.js';

/** POST and HEAD /v1/xorbs/{prefix}/{xorb}. */
export function xorbRoutes(services: GatewayServices): Route[] {
  const path = '/v1/xorbs/:prefix/:xorb';
  return [
    {
      method: 'POST',
      path,
      isUnversioned: true,
      scope: 'append',
      body: 'xorbs',
      handle: (call) => postXorb(services, call),
    },
    {
      method: 'HEAD',
      path,
      isUnversioned: true,
      scope: 'ask',
      handle: (call) => headXorb(services, call),
    },
  ];
}

/**
 * Takes a xorb: chunk records, with or without a footer behind them. Every chunk is decoded and
 * hashed and the root compared with the name before the store has a xorb of that name; the footer is
 * always ours. One that is there and known to be good is kept; any other is replaced by what came.
 */
async function postXorb(services: GatewayServices, call: Call): Promise<HttpResponse> {
  const { health, dedup, quota, store } = services;
  const { request } = call;
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const state = await stateFor(services, call, hash);
  if (state === 'sound') {
    await drainBody(request.body);
    return jsonResponse({ was_inserted: false });
  }
  const replace = state !== 'missing';
  const key = xorbKey(hash);
  // What is repaired is counted already. A body that may have any length takes the room of the longest.
  const more = { storedBytes: replace ? 0 : (bodyLength(request) ?? XORB_ACCEPT_MAX_BYTES) };
  const inserted = await quota.hold(more, async (came) => {
    const isNew = await takeXorb(services, { request, hash, key, put: { replace } });
    if (isNew && !replace && quota.quota !== null) {
      came({ storedBytes: (await store.head(key))?.sizeBytes ?? 0 });
    }
    return isNew;
  });
  await health.stored(hash);
  if (replace) dedup.forget();
  return jsonResponse({ was_inserted: inserted });
}

/**
 * What is known of a xorb before one is stored in its place. Whoever may only append replaces nothing that
 * is sound, so what nobody has looked at is read first.
 */
export async function stateFor(
  { health }: GatewayServices,
  call: Call,
  hash: MerkleHash,
): Promise<XorbState> {
  const state = await health.tell(hash);
  if (state !== 'unproved' || call.principal?.scope !== 'append') return state;
  return health.prove(hash, { bytes: Number.POSITIVE_INFINITY });
}

/** A xorb that is known to be damaged, or whose footer cannot be read, is not there. */
async function headXorb({ health, xorbs }: GatewayServices, call: Call): Promise<HttpResponse> {
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const state = await health.tell(hash);
  const xorb = state === 'damaged' ? null : await xorbs.get(hash).catch(unlessDamaged);
  if (xorb === null) throw failure(404, 'NOT_FOUND', `xorb ${hash} is not stored`);
  return emptyResponse(200, {
    'content-length': String(xorb.sizeBytes),
    'content-type': 'application/octet-stream',
  });
}

function unlessDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}
