import { readFileSync } from 'node:fs';
import { createReadableCodec } from '../../../src/compress/index.js';
import type { Clock } from '../../../src/flow/index.js';
import {
  createGateway,
  createMemoryStore,
  type Gateway,
  type GatewayFault,
  type GatewayOptions,
  type ObjectStore,
  type Principal,
  type XorbReceiver,
  type XorbVerifier,
} from '../../../src/gateway/index.js';
import { createReadableBlake3, fileHash, MerkleHash, rangeHash } from '../../../src/hash/index.js';
import type { Hasher } from '../../../src/hash/ports.js';
import {
  encodeShard,
  type Shard,
  type ShardFile,
  type ShardTerm,
  type ShardXorb,
} from '../../../src/shard/index.js';
import { type BuiltXorb, XorbBuilder } from '../../../src/xorb/index.js';
import { generate } from '../../support/generators.js';

/** A gateway under test, the parts it is made of and short ways to talk to it. */

export const hasher = createReadableBlake3();
export const codec = createReadableCodec();
export const READ_TOKEN = 'token-that-reads';
export const WRITE_TOKEN = 'token-that-writes';
export const ORIGIN = 'http://gateway.test';

export interface FakeClock extends Clock {
  /** Unix time; set it to move the date without running timers. */
  unix: number;
  /** Moves the time and runs every timer that is due. */
  advance(ms: number): void;
  readonly timerCount: number;
}

export function createFakeClock(unix = 1_800_000_000_000): FakeClock {
  const timers = new Set<{ at: number; run: () => void }>();
  let now = 0;
  return {
    unix,
    now: () => now,
    unixMs(): number {
      return this.unix;
    },
    setTimer(delayMs: number, run: () => void): () => void {
      const timer = { at: now + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms: number): void {
      now += ms;
      this.unix += ms;
      for (const timer of [...timers]) {
        if (timer.at > now) continue;
        timers.delete(timer);
        timer.run();
      }
    },
    get timerCount(): number {
      return timers.size;
    },
  };
}

export interface Rig {
  readonly gateway: Gateway;
  readonly store: ObjectStore;
  readonly clock: FakeClock;
  readonly faults: GatewayFault[];
  /** Sends with the write token unless `init` has other headers. */
  send(method: string, path: string, init?: SendInit): Promise<Response>;
}

export interface SendInit {
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | ReadableStream<Uint8Array> | string;
  readonly signal?: AbortSignal;
}

export function createRig(
  parts: {
    store?: ObjectStore;
    verifier?: XorbVerifier | XorbReceiver;
    hasher?: Hasher;
    principals?: Readonly<Record<string, Principal>>;
    clock?: FakeClock;
    options?: GatewayOptions;
  } = {},
): Rig {
  const clock = parts.clock ?? createFakeClock();
  const store = parts.store ?? createMemoryStore({ clock });
  const faults: GatewayFault[] = [];
  const { principals } = parts;
  const gateway = createGateway({
    store,
    hasher: parts.hasher ?? hasher,
    codec,
    clock,
    verifier: parts.verifier,
    tokens: [
      { token: READ_TOKEN, scope: 'read' },
      { token: WRITE_TOKEN, scope: 'write' },
    ],
    authenticate:
      principals === undefined
        ? undefined
        : ({ headers }) => principals[headers['authorization'] ?? ''] ?? null,
    options: { onFault: (fault) => faults.push(fault), ...parts.options },
  });
  return {
    gateway,
    store,
    clock,
    faults,
    send: (method, path, init = {}) => gateway.handle(makeRequest(method, path, init)),
  };
}

export function makeRequest(method: string, path: string, init: SendInit = {}): Request {
  const headers: Record<string, string> = { ...init.headers };
  const token = init.token === undefined ? WRITE_TOKEN : init.token;
  if (token !== null) headers['authorization'] = `Bearer ${token}`;
  if (init.body instanceof Uint8Array && headers['content-length'] === undefined) {
    headers['content-length'] = String(init.body.length);
  }
  const url = path.startsWith('http') ? path : ORIGIN + path;
  return new Request(url, {
    method,
    headers,
    duplex: 'half',
    ...(init.body === undefined ? {} : { body: init.body as NonNullable<RequestInit['body']> }),
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  } as RequestInit);
}

/** A body that comes in pieces of `pieceBytes`, without a declared length. */
export function streamBody(bytes: Uint8Array, pieceBytes = 1000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller): void {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

/** Chunks of seeded random bytes; `lengths` in bytes. */
export function randomChunks(seed: number, lengths: readonly number[]): Uint8Array[] {
  return lengths.map((bytes, index) =>
    generate({ kind: 'splitmix64', seed: seed * 1000 + index, bytes }),
  );
}

export function buildXorb(chunks: readonly Uint8Array[]): BuiltXorb {
  const builder = new XorbBuilder({ codec, hasher });
  for (const chunk of chunks) if (!builder.add(chunk)) throw new Error('the xorb is full');
  const xorb = builder.finish();
  if (xorb === null) throw new Error('no chunks');
  return xorb;
}

const endOf = (ends: Uint32Array, count: number): number =>
  count === 0 ? 0 : (ends[count - 1] as number);

export function term(xorb: BuiltXorb, chunkStart: number, chunkEnd: number): ShardTerm {
  const unpackedBytes = endOf(xorb.rawEnds, chunkEnd) - endOf(xorb.rawEnds, chunkStart);
  return { xorb: xorb.hash, chunkStart, chunkEnd, unpackedBytes };
}

/** A file of `[xorb, chunkStart, chunkEnd]` pieces with all hashes right. */
export function fileOf(pieces: readonly (readonly [BuiltXorb, number, number])[]): ShardFile {
  const hashes: Uint8Array[] = [];
  const sizes: number[] = [];
  for (const [xorb, start, end] of pieces) {
    for (let chunk = start; chunk < end; chunk++) {
      hashes.push(xorb.chunkHashes.subarray(32 * chunk, 32 * chunk + 32));
      sizes.push(endOf(xorb.rawEnds, chunk + 1) - endOf(xorb.rawEnds, chunk));
    }
  }
  const packed = new Uint8Array(32 * hashes.length);
  for (const [index, hash] of hashes.entries()) packed.set(hash, 32 * index);
  return {
    hash: fileHash(hasher, packed, sizes),
    terms: pieces.map(([xorb, start, end]) => term(xorb, start, end)),
    verification: pieces.map(([xorb, start, end]) =>
      rangeHash(hasher, xorb.chunkHashes, start, end),
    ),
    sha256: null,
  };
}

export function listed(xorb: BuiltXorb): ShardXorb {
  const count = xorb.rawEnds.length;
  return {
    hash: xorb.hash,
    chunkHashes: xorb.chunkHashes,
    chunkStarts: Uint32Array.from({ length: count }, (_, index) => endOf(xorb.rawEnds, index)),
    chunkLengths: Uint32Array.from(
      { length: count },
      (_, index) => endOf(xorb.rawEnds, index + 1) - endOf(xorb.rawEnds, index),
    ),
    chunkFlags: new Uint32Array(count),
    rawBytes: endOf(xorb.rawEnds, count),
    serializedBytes: 0,
  };
}

export function uploadShard(shard: Omit<Shard, 'footer'>): Uint8Array {
  return encodeShard({ ...shard, footer: null }, { variant: 'upload' });
}

export async function putXorb(rig: Rig, xorb: BuiltXorb): Promise<void> {
  const response = await rig.send('POST', `/v1/xorbs/default/${xorb.hash}`, { body: xorb.bytes });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
}

export async function putShard(rig: Rig, body: Uint8Array): Promise<Response> {
  return rig.send('POST', '/v1/shards', { body });
}

/** Stores the xorbs and registers the files; returns the shard hash. */
export async function publish(
  rig: Rig,
  xorbs: readonly BuiltXorb[],
  files: readonly ShardFile[],
): Promise<string> {
  for (const xorb of xorbs) await putXorb(rig, xorb);
  const response = await putShard(rig, uploadShard({ files, xorbs: xorbs.map(listed) }));
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text).shard_hash;
}

export function nativeBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../fixtures/native/${name}`, import.meta.url)));
}

export const NATIVE_XORB = MerkleHash.parse(
  'fc66842225d2fec89fb9396470524cf0fb8531d0136904cc396fc666a4f2f06b',
);

export async function bytesOf(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer());
}

export async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** Fields of a JSON answer. */
export interface AnswerJson {
  readonly result?: number;
  readonly shard_hash: string;
  readonly was_inserted?: boolean;
  readonly error: string;
  readonly code: string;
}

export async function jsonOf(response: Response | Promise<Response>): Promise<AnswerJson> {
  return (await (await response).json()) as AnswerJson;
}
