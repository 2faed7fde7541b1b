import { LRUCache } from 'lru-cache';
import { hexDecode, hexEncode } from '../bytes/index.js';
import type { Clock } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { RandomBytes } from '../platform/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { failure, rejected } from './failures.js';
import { INCOMING_PREFIX, incomingKey } from './keys.js';
import { GATEWAY_DEFAULTS, type GatewaySettings } from './options.js';
import type { ObjectStore, SignedPut } from './ports.js';
import type { GatewaySecrets } from './secrets.js';
import { tenantQuery } from './signed-url.js';
import { sameDigest } from './tokens.js';
import type { Held } from './usage-ledger.js';

/**
 * Upload grants: the right to put one xorb under a URL, and to commit it afterwards.
 *
 *     id     <random, 32 hex>-<expires, Unix seconds>-<room>-<MAC over xorb and these three: 32 hex>;
 *            the room is what a quota keeps for it, in bytes: 0 where there is none, or for repairs
 *     URL    <base>/v1/xorb-uploads/<xorb>/<id>?X-Xet-Length=…&X-Xet-Expires=…&X-Xet-Signature=<64 hex>
 *            or whatever the store signs by itself
 *     bytes  `incoming/<id>`, a key of the grant's own: what one client puts there blocks no other
 *
 * Nothing is remembered about a grant: all gateways with the same secret and store know all grants,
 * also after a restart. The id says when it ends, so what was never committed is found by a listing.
 * The id may stand in logs: it names the grant, and only the query of the URL is a right to put.
 */
export interface UploadGrants {
  /** A request that puts `announced` bytes, for which a quota keeps so much `room`. */
  grant(
    xorb: MerkleHash,
    announced: Announced,
    parts: { readonly baseUrl: string; readonly room: Held },
  ): Promise<Grant>;
  /** The room for what a grant asked for now may put, which stays for as long as that may stay. */
  roomFor(bytes: number): Held;
  /** Of an id that was made for this xorb and this tenant, expired or not, its room; null for others. */
  roomOf(id: string, xorb: MerkleHash): Held | null;
  /** The object of the grant was verified while it arrived, as the xorb of this gateway's own form. */
  verified(id: string): Promise<void>;
  /** Whether this version of it was. */
  isVerified(id: string, version: string): boolean;
  /** Deletes what was put and never committed, unless that was done a short while ago. */
  clean(): Promise<void>;
}

/** What a client says about the bytes that it is going to put. */
export interface Announced {
  readonly sizeBytes: number;
  readonly crc64nvme: bigint;
}

export interface Grant extends SignedPut {
  readonly id: string;
}

const LENGTH_PARAMETER = 'X-Xet-Length';
const EXPIRES_PARAMETER = 'X-Xet-Expires';
const SIGNATURE_PARAMETER = 'X-Xet-Signature';

const ID = /^([0-9a-f]{32})-(\d{1,12})-(\d{1,9})-([0-9a-f]{32})$/;
const MAC_LENGTH = 32;
/** Verdicts of objects that wait for their commit: clients send at most some hundred at a time. */
const MAX_VERDICTS = 4096;
const CLEAN_EVERY_MS = 10 * 60 * 1000;
/** How long an object outlives its grant: its commit may still be repeated. */
const COMMIT_GRACE_MS = 60 * 60 * 1000;

export function createUploadGrants(parts: {
  readonly store: ObjectStore;
  readonly secrets: GatewaySecrets;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings: GatewaySettings;
}): UploadGrants {
  const { store, secrets, clock, random, settings } = parts;
  const versions = new LRUCache<string, string>({
    maxSize: MAX_VERDICTS,
    sizeCalculation: () => 1,
  });
  let cleanedMs = Number.NEGATIVE_INFINITY;

  const macOf = (xorb: MerkleHash, nonce: string, expires: string, roomBytes: string): string => {
    const text = `grant\n${xorb}\n${nonce}\n${expires}\n${roomBytes}`;
    return hexEncode(secrets.sign(text)).slice(0, MAC_LENGTH);
  };
  const { grantLifetimeMs: lifetimeMs } = settings;

  return {
    roomFor: (bytes) => ({ endMs: clock.unixMs() + lifetimeMs + COMMIT_GRACE_MS, bytes }),
    async grant(xorb, { sizeBytes, crc64nvme }, { baseUrl, room }) {
      const expires = String(Math.ceil((room.endMs - COMMIT_GRACE_MS) / 1000));
      const nonce = hexEncode(random(16));
      const roomBytes = String(room.bytes);
      const id = `${nonce}-${expires}-${roomBytes}-${macOf(xorb, nonce, expires, roomBytes)}`;
      if (store.signedPut !== undefined) {
        const signed = await store.signedPut(incomingKey(id), { sizeBytes, crc64nvme, lifetimeMs });
        return { id, ...signed };
      }
      const signature = hexEncode(signatureOf(secrets, xorb, id, String(sizeBytes), expires));
      const url =
        `${baseUrl}/v1/xorb-uploads/${xorb}/${id}?${LENGTH_PARAMETER}=${sizeBytes}` +
        `&${EXPIRES_PARAMETER}=${expires}&${SIGNATURE_PARAMETER}=${signature}` +
        tenantQuery(secrets);
      return { id, method: 'PUT', url, headers: { 'If-None-Match': '*' } };
    },
    roomOf(id, xorb) {
      const [, nonce = '', expires = '', roomBytes = '', mac = ''] = ID.exec(id) ?? [];
      const expected = new TextEncoder().encode(macOf(xorb, nonce, expires, roomBytes));
      if (!sameDigest(expected, new TextEncoder().encode(mac))) return null;
      return { endMs: Number(expires) * 1000 + COMMIT_GRACE_MS, bytes: Number(roomBytes) };
    },
    async verified(id) {
      const info = await store.head(incomingKey(id));
      if (info !== null) versions.set(id, info.version);
    },
    isVerified: (id, version) => versions.get(id) === version,
    async clean() {
      if (clock.now() - cleanedMs < CLEAN_EVERY_MS) return;
      cleanedMs = clock.now();
      const nowMs = clock.unixMs();
      for await (const { key, modifiedMs } of store.list(INCOMING_PREFIX)) {
        const endMs = incomingEndMs(key, modifiedMs, settings.grantLifetimeMs);
        if (endMs + COMMIT_GRACE_MS < nowMs) await store.delete(key);
      }
    },
  };
}

/** When the grant ends by which an object was put. A name that is none of ours says nothing. */
export function incomingEndMs(
  key: string,
  modifiedMs: number,
  lifetimeMs: number = GATEWAY_DEFAULTS.grantLifetimeMs,
): number {
  const expires = ID.exec(key.slice(INCOMING_PREFIX.length))?.[2];
  return expires === undefined ? modifiedMs + lifetimeMs : Number(expires) * 1000;
}

/**
 * Checks the query of a URL of ours.
 * @throws OrbweaverError 403 when it is not signed for this, or its time is over
 */
export function checkPut(
  secrets: GatewaySecrets,
  put: { readonly xorb: MerkleHash; readonly id: string; readonly query: URLSearchParams },
  unixMs: number,
): { readonly sizeBytes: number } {
  const { xorb, id, query } = put;
  const length = query.get(LENGTH_PARAMETER) ?? '';
  const expires = query.get(EXPIRES_PARAMETER) ?? '';
  const given = query.get(SIGNATURE_PARAMETER) ?? '';
  const signature = /^[0-9a-f]{64}$/.test(given) ? hexDecode(given) : new Uint8Array(0);
  if (!ID.test(id) || !sameDigest(signatureOf(secrets, xorb, id, length, expires), signature)) {
    throw failure(403, 'FORBIDDEN', 'the URL is not signed for this');
  }
  if (unixMs > Number(expires) * 1000) {
    throw failure(403, 'FORBIDDEN', 'the upload grant has expired');
  }
  return { sizeBytes: Number(length) };
}

function signatureOf(
  secrets: GatewaySecrets,
  xorb: MerkleHash,
  id: string,
  ...[length, expires]: readonly [string, string]
): Uint8Array {
  return secrets.sign(`put\n${xorb}\n${id}\n${length}\n${expires}`);
}

/**
 * Reads the body of a grant request: `{"length": number, "checksum": {"algo": "crc64nvme", "value":
 * unsigned decimal text}}`.
 *
 * @throws OrbweaverError 400, 413
 */
export function announcedIn(json: unknown): Announced {
  const { length, checksum } = fieldsOf(json);
  const { algo, value } = fieldsOf(checksum);
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 1) {
    throw rejected('"length" expected the bytes of the xorb, a number');
  }
  if (length > XORB_ACCEPT_MAX_BYTES) {
    const message = `"length" expected at most ${XORB_ACCEPT_MAX_BYTES} bytes, got ${length}`;
    throw failure(413, 'LIMIT_EXCEEDED', message);
  }
  if (algo !== 'crc64nvme') throw rejected('"checksum.algo" expected "crc64nvme"');
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value) || BigInt(value) >> 64n !== 0n) {
    throw rejected('"checksum.value" expected 64 bits as an unsigned decimal text');
  }
  return { sizeBytes: length, crc64nvme: BigInt(value) };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
