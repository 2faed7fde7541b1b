import type { MerkleHash } from '../hash/index.js';
import { type HttpRequest, type HttpResponse, piecesOf } from '../http/index.js';
import { encodeFooter } from '../xorb/index.js';
import { drainBody, firstPieces, holdBody } from './body.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import { failure, isDamage } from './failures.js';
import { xorbKey } from './keys.js';
import type { PutOptions, VerifiedXorb, XorbReceiver, XorbVerifier } from './ports.js';
import { emptyResponse, jsonResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { asRejection, checkName } from './xorb-verify.js';

/** POST and HEAD /v1/xorbs/{prefix}/{xorb}. */
export function xorbRoutes(services: GatewayServices): Route[] {
  const path = '/v1/xorbs/:prefix/:xorb';
  return [
    {
      method: 'POST',
      path,
      scope: 'write',
      body: 'xorbs',
      handle: (call) => postXorb(services, call),
    },
    { method: 'HEAD', path, scope: 'read', handle: (call) => headXorb(services, call) },
  ];
}

/** A body to take, and how it is stored. */
interface Upload {
  readonly request: HttpRequest;
  readonly hash: MerkleHash;
  readonly put: PutOptions;
}

/**
 * Takes a xorb: chunk records, with or without a footer behind them. Every chunk is decoded and
 * hashed and the root compared with the name before the store has a xorb of that name; the footer is
 * always ours. One that is there and known to be good is kept; any other is replaced by what came.
 */
async function postXorb(services: GatewayServices, call: Call): Promise<HttpResponse> {
  const { health, verifier, dedup } = services;
  const { request } = call;
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const state = await health.look(hash);
  if (state === 'sound') {
    await drainBody(request.body);
    return jsonResponse({ was_inserted: false });
  }
  const upload = { request, hash, put: { replace: state !== 'missing' } };
  const inserted = await ('receive' in verifier
    ? storeWhileReceiving(services, verifier, upload)
    : storeReceived(services, verifier, upload));
  await health.stored(hash);
  if (upload.put.replace) dedup.forget();
  return jsonResponse({ was_inserted: inserted });
}

/** The whole body in memory, verified, then stored. */
async function storeReceived(
  { store, memory, buffers }: GatewayServices,
  verifier: XorbVerifier,
  { request, hash, put }: Upload,
): Promise<boolean> {
  const body = await holdBody(request.body, memory.xorbs.open(request.signal), buffers);
  try {
    const verified = await verify(() => verifier.verify(body.bytes, hash), hash);
    const records = body.bytes.subarray(0, verified.recordsBytes);
    return await store.put(xorbKey(hash), [records, encodeFooter(verified)], put);
  } finally {
    body.release();
  }
}

/**
 * What an upload is counted as that is verified while it arrives: its memory is the verifier's, and
 * this bounds how many such uploads there are at once.
 */
const RECEIVING_BYTES = 2 * 1024 * 1024;
/** An upload gets memory of the verifier when this much of it, or all, is there. */
const FIRST_BYTES = 64 * 1024;

/** Pieces go to the store as they arrive; it gives them a name only when the last one was verified. */
async function storeWhileReceiving(
  { store, memory }: GatewayServices,
  receiver: XorbReceiver,
  { request, hash, put }: Upload,
): Promise<boolean> {
  const account = memory.xorbs.open(request.signal);
  const pieces = piecesOf(request.body);
  try {
    const first = await firstPieces(pieces, FIRST_BYTES);
    await account.grow(RECEIVING_BYTES);
    let isRead = false;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      isRead = true;
      yield* verifiedXorb(receiver, joined(first, pieces), hash);
    };
    const inserted = await store.put(xorbKey(hash), body(), put);
    // Another upload of the same xorb came first.
    if (!isRead) await drainBody(request.body);
    return inserted;
  } finally {
    account.release();
    await pieces.return();
  }
}

/** `first` and then `rest`, without another generator around the many pieces of an upload. */
function joined(first: Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const value = first.shift();
        return value === undefined ? rest.next() : { done: false, value };
      },
      return: () => rest.return(undefined),
    }),
  };
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

async function verify(run: () => Promise<VerifiedXorb>, hash: MerkleHash): Promise<VerifiedXorb> {
  try {
    const verified = await run();
    checkName(verified, hash);
    return verified;
  } catch (error) {
    throw asRejection(error);
  }
}

/** A xorb that is known to be damaged, or whose footer cannot be read, is not there. */
async function headXorb({ health, xorbs }: GatewayServices, call: Call): Promise<HttpResponse> {
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const state = await health.look(hash);
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
