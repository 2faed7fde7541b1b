import { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { HttpResponse } from '../http/index.js';
import { encodeFooter, XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { declaredLength, drainBody } from './body.js';
import { type Call, checkPrefix, hashParam, paramOf } from './call.js';
import { failure, rejected, statusOf } from './failures.js';
import { announcedIn, checkPut } from './grants.js';
import { withJsonBody } from './json-body.js';
import { bodyOfReader, incomingKey, piecesOfReader, xorbKey } from './keys.js';
import type {
  ObjectInfo,
  ObjectReader,
  ObjectStore,
  PutOptions,
  VerifiedXorb,
  XorbVerifier,
} from './ports.js';
import { emptyResponse, jsonResponse } from './responses.js';
import { stateFor } from './route-xorbs.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { createFlights, createTurns } from './turns.js';
import type { Held } from './usage-ledger.js';
import { takeXorb, verifiedXorb, verify } from './xorb-intake.js';
import { verifyReceived } from './xorb-verify.js';

/** Objects that are read and verified at a time. */
const CONCURRENT_READS = 2;

/** What the commits of a gateway share. */
interface Commits {
  /** One commit of a grant at a time: repeats get its result. */
  readonly once: ReturnType<typeof createFlights<void>>;
  readonly read: (work: () => Promise<void>) => Promise<void>;
}

/**
 * Upload grants: POST /v1/xorb-grants/{prefix}/{xorb} asks for one, PUT on its URL brings the bytes,
 * POST /v1/xorb-commits/{prefix}/{xorb}/grant/{id} makes them a xorb. `grants.ts` says what a grant is.
 */
export function grantRoutes(services: GatewayServices): Route[] {
  const committing = createFlights<void>();
  const turns = createTurns(CONCURRENT_READS);
  const commits: Commits = { once: committing, read: (work) => turns.take(new Scope(), work) };
  return [
    {
      method: 'POST',
      path: '/v1/xorb-grants/:prefix/:xorb',
      scope: 'append',
      body: 'small',
      handle: (call) => postGrant(services, call),
    },
    {
      method: 'PUT',
      path: '/v1/xorb-uploads/:xorb/:grant',
      scope: null,
      checkSigned: (call, secrets, unixMs) => void checkPut(secrets, putOf(call), unixMs),
      body: 'xorbs',
      handle: (call) => putXorb(services, call),
    },
    {
      method: 'POST',
      path: '/v1/xorb-commits/:prefix/:xorb/grant/:grant',
      scope: 'append',
      handle: (call) => postCommit(services, call, commits),
    },
  ];
}

/**
 * 200 without a body: it is stored, nothing need be sent. 201: a grant. Nothing is kept of either but, where
 * there is a quota, the room for what may come. What is repaired is counted already.
 */
async function postGrant(services: GatewayServices, call: Call): Promise<HttpResponse> {
  const { grants, health, quota } = services;
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const announced = await withJsonBody(services, call, announcedIn);
  const state = await health.tell(hash);
  if (state === 'sound') return emptyResponse(200);
  const isCounted = state === 'missing' && quota.quota !== null;
  const room = grants.roomFor(isCounted ? announced.sizeBytes : 0);
  await quota.reserve(room);
  // Here, because whoever makes leftovers asks for grants, and behind the response.
  services.background(grants.clean().catch((error: unknown) => services.fault(call, error)));
  const { id, method, url, headers } = await grants.grant(hash, announced, {
    baseUrl: call.baseUrl,
    room,
  });
  return jsonResponse({ id, method, url, headers }, 201, { 'cache-control': 'no-store' });
}

/**
 * The bytes of a grant, where the store signs no URLs of its own. They are verified while they arrive,
 * as those of `POST /v1/xorbs` are, so that the commit need not read them; the check sum of the grant
 * would prove less. 412 when something is there already.
 */
async function putXorb(services: GatewayServices, call: Call): Promise<HttpResponse> {
  const { grants, health, store, secrets, clock } = services;
  const { request } = call;
  const put = putOf(call);
  const { xorb: hash, id } = put;
  const { sizeBytes } = checkPut(secrets, put, clock.unixMs());
  const declared = declaredLength(request.headers);
  if (declared !== null && declared !== sizeBytes) {
    throw rejected(`"content-length" expected ${sizeBytes} as announced, got ${declared}`);
  }
  const key = incomingKey(id);
  const isStored = (await health.tell(hash)) === 'sound';
  if (isStored || (await store.head(key)) !== null) {
    await drainBody(request.body);
    return emptyResponse(isStored ? 200 : 412);
  }
  const inserted = await takeXorb(services, { request, hash, key });
  if (!inserted) return emptyResponse(412);
  await grants.verified(id);
  return emptyResponse(200);
}

function putOf(call: Call): Parameters<typeof checkPut>[1] {
  const { searchParams: query } = call.request.url;
  return { xorb: hashParam(call, 'xorb'), id: paramOf(call, 'grant'), query };
}

/**
 * Makes what was put a xorb. It may be repeated: a xorb that is stored is a success whatever became of
 * the grant. 404: there is no such grant, or nothing was put by it; clients then ask for another one.
 */
async function postCommit(
  services: GatewayServices,
  call: Call,
  commits: Commits,
): Promise<HttpResponse> {
  const { grants, quota, store } = services;
  checkPrefix(call);
  const hash = hashParam(call, 'xorb');
  const id = paramOf(call, 'grant');
  const state = await stateFor(services, call, hash);
  const room = grants.roomOf(id, hash);
  if (state !== 'sound') {
    if (room === null) {
      throw failure(404, 'NOT_FOUND', `there is no such upload grant for xorb ${hash}`);
    }
    const put = { replace: state !== 'missing' };
    await commits.once(id, () => commit(services, commits, { hash, id, put, room }));
  } else if (room !== null) {
    // Somebody else stored it meanwhile; or this is a repeat, and all of it was done then.
    const isThere = room.bytes > 0 && (await store.head(incomingKey(id))) !== null;
    await store.delete(incomingKey(id));
    if (isThere) await quota.release(room);
  }
  return emptyResponse(200);
}

async function commit(
  services: GatewayServices,
  { read }: Commits,
  grant: {
    readonly hash: MerkleHash;
    readonly id: string;
    readonly put: PutOptions;
    readonly room: Held;
  },
): Promise<void> {
  const { hash, id, put, room } = grant;
  const { store, health, dedup, grants, quota } = services;
  const key = incomingKey(id);
  const info = await store.head(key);
  if (info === null) throw nothingPut(hash);
  try {
    const more = { storedBytes: put.replace === true ? 0 : info.sizeBytes };
    const take = async (came: (actual: typeof more) => void): Promise<void> => {
      if (grants.isVerified(id, info.version)) await moveWhole(services, { hash, key, info, put });
      else await read(() => verifyAndStore(services, { hash, key, info, put }));
      came(more);
    };
    await quota.hold(more, take, room);
  } catch (error) {
    // Bytes that are not this xorb never will be, and for others there is no room: neither need wait
    // for its end.
    if (statusOf(error) === 400 || statusOf(error) === 413) {
      await store.delete(key).catch(() => undefined);
      await quota.release(room);
    }
    throw error;
  }
  await health.stored(hash);
  if (put.replace === true) dedup.forget();
  await store.delete(key);
}

interface Incoming {
  readonly hash: MerkleHash;
  readonly key: string;
  readonly info: ObjectInfo;
  readonly put: PutOptions;
}

/** The object is a xorb of ours, footer included. */
async function moveWhole(
  { store }: GatewayServices,
  { hash, key, info: { version, sizeBytes }, put }: Incoming,
): Promise<void> {
  if (store.putFrom === undefined) {
    await reading(store, { hash, key }, (reader) =>
      store.put(xorbKey(hash), piecesOfReader(reader, sizeBytes), put),
    );
    return;
  }
  const whole = { key, version, endBytes: sizeBytes, tail: new Uint8Array(0) };
  if ((await store.putFrom(xorbKey(hash), whole, put)) === null) throw nothingPut(hash);
}

/** Whatever the object is: it is read once, and becomes a xorb if it is one. */
async function verifyAndStore(services: GatewayServices, incoming: Incoming): Promise<void> {
  const { store, verifier } = services;
  const { hash, key, info, put } = incoming;
  const { version, sizeBytes } = info;
  if (sizeBytes > XORB_ACCEPT_MAX_BYTES) {
    throw rejected(`xorb: expected at most ${XORB_ACCEPT_MAX_BYTES} bytes, got ${sizeBytes}`);
  }
  const { putFrom } = store;
  if (putFrom === undefined && 'receive' in verifier) {
    await reading(store, incoming, (reader) =>
      store.put(xorbKey(hash), verifiedXorb(verifier, bodyOfReader(reader, sizeBytes), hash), put),
    );
    return;
  }
  const verified = await ('receive' in verifier
    ? reading(store, incoming, (reader) =>
        verify(() => verifyReceived(verifier, bodyOfReader(reader, sizeBytes)), hash),
      )
    : verifyHeld(services, verifier, incoming));
  if (putFrom === undefined) return;
  const part = { key, version, endBytes: verified.recordsBytes, tail: encodeFooter(verified) };
  if ((await putFrom.call(store, xorbKey(hash), part, put)) === null) throw nothingPut(hash);
}

/** In memory as a whole, for verifiers that want it so; stored from there where nothing is cheaper. */
async function verifyHeld(
  { store, buffers }: GatewayServices,
  verifier: XorbVerifier,
  { hash, key, info: { sizeBytes }, put }: Incoming,
): Promise<VerifiedXorb> {
  const buffer = buffers.take();
  try {
    const bytes = buffer.subarray(0, sizeBytes);
    await reading(store, { hash, key }, (reader) => reader.readAt(bytes, 0));
    const verified = await verify(() => verifier.verify(bytes, hash), hash);
    if (store.putFrom === undefined) {
      const records = bytes.subarray(0, verified.recordsBytes);
      await store.put(xorbKey(hash), [records, encodeFooter(verified)], put);
    }
    return verified;
  } finally {
    buffers.giveBack(buffer);
  }
}

/** With the object open, which is closed before anything else happens to it. */
async function reading<Result>(
  store: ObjectStore,
  { hash, key }: Pick<Incoming, 'hash' | 'key'>,
  use: (reader: ObjectReader) => Promise<Result>,
): Promise<Result> {
  const reader = await store.open(key);
  if (reader === null) throw nothingPut(hash);
  try {
    return await use(reader);
  } finally {
    await reader.close();
  }
}

function nothingPut(hash: MerkleHash): Error {
  return failure(404, 'NOT_FOUND', `nothing was put by this upload grant for xorb ${hash}`);
}
