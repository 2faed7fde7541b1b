import { isOrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import { encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { checkDeclaredLength, drainBody, readBody } from './body.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import { failure, rejected } from './failures.js';
import { xorbKey } from './keys.js';
import type { GatewayAnswer, VerifiedXorb } from './ports.js';
import { emptyAnswer, jsonAnswer } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** POST and HEAD /v1/xorbs/{prefix}/{xorb}. */
export function xorbRoutes(services: GatewayServices): Route[] {
  const path = '/v1/xorbs/:prefix/:xorb';
  return [
    { method: 'POST', path, scope: 'write', handle: (call) => postXorb(services, call) },
    { method: 'HEAD', path, scope: 'read', handle: (call) => headXorb(services, call) },
  ];
}

/**
 * Takes a xorb: chunk records, with or without a footer behind them. Every chunk is decoded and
 * hashed and the root compared with the name before a byte is stored; the footer is always ours.
 */
async function postXorb(services: GatewayServices, call: Call): Promise<GatewayAnswer> {
  const { store, verifier, budget, buffers } = services;
  const { request } = call;
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  // Raw 64 MiB, a header for each chunk (the reference client sends that much for incompressible
  // data), and a footer that some tool may leave on.
  checkDeclaredLength(request, XORB_ACCEPT_MAX_BYTES);
  if ((await store.head(xorbKey(hash))) !== null) {
    await drainBody(request, XORB_ACCEPT_MAX_BYTES);
    return jsonAnswer({ was_inserted: false });
  }
  const limitBytes = XORB_ACCEPT_MAX_BYTES;
  const body = await readBody(request, { limitBytes, budget, buffers });
  try {
    const verified = await verify(() => verifier.verify(body.bytes, hash), hash);
    const records = body.bytes.subarray(0, verified.recordsBytes);
    const inserted = await store.put(xorbKey(hash), [records, encodeFooter(verified)]);
    return jsonAnswer({ was_inserted: inserted });
  } finally {
    body.release();
  }
}

async function headXorb(services: GatewayServices, call: Call): Promise<GatewayAnswer> {
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const object = await services.store.head(xorbKey(hash));
  if (object === null) throw failure(404, 'NOT_FOUND', `xorb ${hash} is not stored`);
  return emptyAnswer(200, {
    'content-length': String(object.sizeBytes),
    'content-type': 'application/octet-stream',
  });
}

/** Codes by which a verifier says that the bytes are at fault; all others are faults of ours. */
const BODY_FAULTS: ReadonlySet<string> = new Set([
  'TRUNCATED',
  'FORMAT_INVALID',
  'LIMIT_EXCEEDED',
  'UNSUPPORTED',
  'CHECKSUM_MISMATCH',
  'INTEGRITY',
  'SIZE_MISMATCH',
]);

async function verify(run: () => Promise<VerifiedXorb>, hash: MerkleHash): Promise<VerifiedXorb> {
  try {
    const verified = await run();
    // The name is what everything else relies on: it is compared here whatever the verifier did.
    if (verified.hash.equals(hash)) return verified;
    throw rejected(`xorb: "xorb hash" expected ${hash}, got ${verified.hash}`);
  } catch (error) {
    if (isOrbweaverError(error) && BODY_FAULTS.has(error.code)) {
      throw rejected(`xorb: ${error.message}`, error);
    }
    throw error;
  }
}
