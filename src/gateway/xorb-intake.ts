import type { MerkleHash } from '../hash/index.js';
import type { Body, HttpRequest } from '../http/index.js';
import { copyInto } from '../platform/index.js';
import { encodeFooter } from '../xorb/index.js';
import { drainBody, firstBytes, holdBody } from './body.js';
import type { PutOptions, VerifiedXorb, XorbReceiver, XorbVerifier } from './ports.js';
import type { GatewayServices } from './services.js';
import { asRejection, checkName } from './xorb-verify.js';

/** A body to take: chunk records, with or without a footer behind them. */
export interface XorbUpload {
  readonly request: HttpRequest;
  /** What its chunks have to hash to. */
  readonly hash: MerkleHash;
  /** Where it goes. */
  readonly key: string;
  readonly put?: PutOptions | undefined;
}

/**
 * Stores the xorb in the body of a request, with a footer of ours. Every chunk is decoded and hashed
 * and the root compared with `hash` before the store has anything under `key`. False: the key was
 * taken, and nothing was changed.
 *
 * @throws OrbweaverError 400 `REJECTED` for bytes that are not this xorb; what reading the body throws
 */
export function takeXorb(services: GatewayServices, upload: XorbUpload): Promise<boolean> {
  const { verifier } = services;
  return 'receive' in verifier
    ? storeWhileReceiving(services, verifier, upload)
    : storeReceived(services, verifier, upload);
}

/** The whole body in memory, verified, then stored. */
async function storeReceived(
  { store, memory, buffers }: GatewayServices,
  verifier: XorbVerifier,
  { request, hash, key, put }: XorbUpload,
): Promise<boolean> {
  const body = await holdBody(request.body, memory.xorbs.open(request.signal), buffers);
  try {
    const verified = await verify(() => verifier.verify(body.bytes, hash), hash);
    const records = body.bytes.subarray(0, verified.recordsBytes);
    return await store.put(key, [records, encodeFooter(verified)], put);
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

/** The records go to the store as they arrive; it gives them a name only when the last one was verified. */
async function storeWhileReceiving(
  { store, memory }: GatewayServices,
  receiver: XorbReceiver,
  { request, hash, key, put }: XorbUpload,
): Promise<boolean> {
  const account = memory.xorbs.open(request.signal);
  const { body } = request;
  try {
    const first = await firstBytes(body, FIRST_BYTES);
    await account.grow(RECEIVING_BYTES);
    let isRead = false;
    const xorb = async function* (): AsyncGenerator<Uint8Array> {
      isRead = true;
      yield* verifiedXorb(receiver, joined(first, body), hash);
    };
    const inserted = await store.put(key, xorb(), put);
    // Another upload of the same key came first.
    if (!isRead) await drainBody(body);
    return inserted;
  } finally {
    account.release();
    body?.cancel();
  }
}

/** `first`, which was read already, and then the rest of `body`. */
function joined(first: Uint8Array, body: Body | null): Pick<Body, 'fill'> {
  let rest = first;
  return {
    async fill(into) {
      if (rest.length === 0) return body === null ? 0 : body.fill(into);
      const count = Math.min(rest.length, into.length);
      copyInto(into, 0, rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
  };
}

/** The records and the footer; the end is reached only when all of it is what its name says. */
export async function* verifiedXorb(
  receiver: XorbReceiver,
  body: Pick<Body, 'fill'>,
  hash: MerkleHash,
): AsyncGenerator<Uint8Array> {
  let verified: VerifiedXorb;
  try {
    verified = yield* receiver.receive(body);
  } catch (error) {
    throw asRejection(error);
  }
  checkName(verified, hash);
  yield encodeFooter(verified);
}

/** What `run` verified. @throws OrbweaverError 400 when it is not `hash` */
export async function verify(
  run: () => Promise<VerifiedXorb>,
  hash: MerkleHash,
): Promise<VerifiedXorb> {
  try {
    const verified = await run();
    checkName(verified, hash);
    return verified;
  } catch (error) {
    throw asRejection(error);
  }
}
