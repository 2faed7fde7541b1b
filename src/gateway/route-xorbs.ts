import { isOrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import { encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { bodyPieces, checkDeclaredLength, drainBody, readBody } from './body.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import { failure, rejected } from './failures.js';
import { xorbKey } from './keys.js';
import type {
  GatewayAnswer,
  GatewayRequest,
  VerifiedXorb,
  XorbReceiver,
  XorbVerifier,
} from './ports.js';
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
 * hashed and the root compared with the name before the store has a xorb of that name; the footer is
 * always ours.
 */
async function postXorb(services: GatewayServices, call: Call): Promise<GatewayAnswer> {
  const { store, verifier } = services;
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
  const inserted = await ('receive' in verifier
    ? storeWhileReceiving(services, verifier, request, hash)
    : storeReceived(services, verifier, request, hash));
  return jsonAnswer({ was_inserted: inserted });
}

/** The whole body in memory, verified, then stored. */
async function storeReceived(
  services: GatewayServices,
  verifier: XorbVerifier,
  request: GatewayRequest,
  hash: MerkleHash,
): Promise<boolean> {
  const { store, budget, buffers } = services;
  const limitBytes = XORB_ACCEPT_MAX_BYTES;
  const body = await readBody(request, { limitBytes, budget, buffers });
  try {
    const verified = await verify(() => verifier.verify(body.bytes, hash), hash);
    const records = body.bytes.subarray(0, verified.recordsBytes);
    return await store.put(xorbKey(hash), [records, encodeFooter(verified)]);
  } finally {
    body.release();
  }
}

/**
 * What an upload is counted as that is verified while it arrives: its memory is the verifier's, and
 * this bounds how many such uploads there are at once.
 */
const RECEIVING_BYTES = 8 * 1024 * 1024;

/** Pieces go to the store as they arrive; it gives them a name only when the last one was verified. */
async function storeWhileReceiving(
  services: GatewayServices,
  receiver: XorbReceiver,
  request: GatewayRequest,
  hash: MerkleHash,
): Promise<boolean> {
  const { store, budget } = services;
  const limitBytes = XORB_ACCEPT_MAX_BYTES;
  const declared = checkDeclaredLength(request, limitBytes) ?? RECEIVING_BYTES;
  const release = await budget.acquire(Math.min(declared, RECEIVING_BYTES), request.signal);
  try {
    let isRead = false;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      isRead = true;
      yield* verifiedXorb(receiver, bodyPieces(request, limitBytes), hash);
    };
    const inserted = await store.put(xorbKey(hash), body());
    // Another upload of the same xorb came first.
    if (!isRead) await drainBody(request, limitBytes);
    return inserted;
  } finally {
    release();
  }
}

/** The records and the footer; the end is reached only when all of it is what its name says. */
async function* verifiedXorb(
  receiver: XorbReceiver,
  pieces: AsyncIterable<Uint8Array>,
  hash: MerkleHash,
): AsyncGenerator<Uint8Array> {
  let verified: VerifiedXorb;
  try {
    verified = yield* receiver.receive(pieces);
  } catch (error) {
    throw asRejection(error);
  }
  checkName(verified, hash);
  yield encodeFooter(verified);
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
    checkName(verified, hash);
    return verified;
  } catch (error) {
    throw asRejection(error);
  }
}

/** The name is what everything else relies on: it is compared here whatever the verifier did. */
function checkName(verified: VerifiedXorb, hash: MerkleHash): void {
  if (verified.hash.equals(hash)) return;
  throw rejected(`xorb: "xorb hash" expected ${hash}, got ${verified.hash}`);
}

/** Errors that have a status already, such as that of a body above its limit, pass. */
function asRejection(error: unknown): unknown {
  if (!isOrbweaverError(error) || typeof error.fields['status'] === 'number') return error;
  return BODY_FAULTS.has(error.code) ? rejected(`xorb: ${error.message}`, error) : error;
}
