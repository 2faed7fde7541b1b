import type { MerkleHash } from '../hash/index.js';
import { type HttpRequest, piecesOf } from '../http/index.js';
import { encodeFooter } from '../xorb/index.js';
import { drainBody, firstPieces, holdBody } from './body.js';
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

/** Pieces go to the store as they arrive; it gives them a name only when the last one was verified. */
async function storeWhileReceiving(
  { store, memory }: GatewayServices,
  receiver: XorbReceiver,
  { request, hash, key, put }: XorbUpload,
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
    const inserted = await store.put(key, body(), put);
    // Another upload of the same key came first.
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
export async function* verifiedXorb(
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
