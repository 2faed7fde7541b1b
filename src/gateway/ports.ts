import type { MerkleHash } from '../hash/index.js';
import type { VerifiedXorb } from '../xorb/index.js';

export type { VerifiedXorb };

/**
 * What the gateway needs from outside: a place for objects, someone to verify xorbs, the time and
 * randomness. Nothing else of the world enters: a gateway over the memory store and a fake clock
 * behaves the same in a test as over a disk.
 */

/** Bytes `[start, end)` of a stored object. */
export interface ObjectRange {
  readonly start: number;
  readonly end: number;
}

/** What is known about an object without reading it. */
export interface ObjectInfo {
  readonly sizeBytes: number;
  /** When it was stored, milliseconds since 1970. Orders dedup answers, newest first. */
  readonly modifiedMs: number;
}

/** One line of a listing. */
export interface ObjectEntry extends ObjectInfo {
  readonly key: string;
}

/** Bytes to store: one array, several that follow each other, or a stream of them. */
export type ObjectBody = Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array>;

/**
 * Immutable objects under keys. A key is two or three segments joined by `/`; a segment is 1 to 128
 * of `a-z 0-9 . _ -` and starts with a letter or a digit (`isObjectKey` in `stores/`); any other key
 * is a `RangeError`. Implementations: `stores/`. Every one passes `test/gateway/store-suite.ts`.
 *
 * Errors: `DISK_FULL` when there is no room, `STORAGE_FAILED` for everything else that the store
 * itself does wrong, `TRUNCATED` when an object ends before the range asked for.
 */
export interface ObjectStore {
  /** Null when there is no such object. */
  head(key: string): Promise<ObjectInfo | null>;
  /** A copy of the object or of a range of it; null when there is no such object. */
  read(key: string, range?: ObjectRange): Promise<Uint8Array | null>;
  /**
   * The same in pieces, opened at the first step and closed at the last one or at `return()`.
   * A missing object is `NOT_FOUND` at the first step. Each piece belongs to the consumer.
   */
  stream(key: string, range?: ObjectRange): AsyncIterable<Uint8Array>;
  /**
   * The object, open for reads into memory of the caller: for stores that can do that without a
   * copy. A missing object is `NOT_FOUND`. Answers are served with it when it is there, with
   * `stream` otherwise.
   */
  open?(key: string): Promise<ObjectReader>;
  /**
   * Stores the object if the key is free and returns true; returns false, and changes nothing, when
   * it is taken. Atomic: no reader ever sees a part, and of two writers exactly one gets true.
   * The body is borrowed until the promise settles.
   */
  put(key: string, body: ObjectBody): Promise<boolean>;
  /** Objects whose key starts with `prefix`: one or two whole segments and a `/`. Any order. */
  list(prefix: string): AsyncIterable<ObjectEntry>;
  /** True when there was one. */
  delete(key: string): Promise<boolean>;
  /** Gives back what the store keeps open between calls. It works on afterwards. */
  close?(): Promise<void>;
}

/** An open object. */
export interface ObjectReader {
  /** Fills `into` with the bytes from `offset` on; an end before that is `TRUNCATED`. */
  readAt(into: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Decodes and hashes every chunk of a xorb in memory. Implementation: `createThreadVerifier`. */
export interface XorbVerifier {
  /**
   * `bytes` are the records of a xorb, with or without a footer; borrowed until the promise settles
   * and readable again afterwards.
   * @throws OrbweaverError `INTEGRITY` when the root is not `expected`, a format code otherwise
   */
  verify(bytes: Uint8Array, expected?: MerkleHash): Promise<VerifiedXorb>;
}

/** The same while the xorb arrives. Implementation: the worker pool. */
export interface XorbReceiver {
  /**
   * Gives the records back in order, without a footer; each piece is borrowed until the next step.
   * They are proved only by what is returned after the last one. Leaving early ends it.
   * @throws OrbweaverError a format code for bytes that are no xorb; what `pieces` throws
   */
  receive(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, VerifiedXorb, undefined>;
}

/** The time, and being called later. */
export interface Clock {
  /** Milliseconds since 1970. */
  nowMs(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

/** `lengthBytes` random bytes, good enough for keys. */
export type RandomBytes = (lengthBytes: number) => Uint8Array;

/** `write` includes `read`. */
export type TokenScope = 'read' | 'write';

/** A bearer token that the gateway accepts. */
export interface GatewayToken {
  /** At least 1 character; no spaces or control characters (they cannot stand in a header). */
  readonly token: string;
  readonly scope: TokenScope;
}

/** A request that ended with a status of 500 or above. Never holds a token or a query string. */
export interface GatewayFault {
  readonly requestId: string;
  readonly method: string;
  /** Path without the query, where signatures live. */
  readonly path: string;
  readonly status: number;
  readonly error: unknown;
}

/** Settings of a gateway. All have defaults ({@link GATEWAY_DEFAULTS} in `options.ts`). */
export interface GatewayOptions {
  /**
   * Start of the fetch URLs that reconstructions name, when clients reach the gateway under another
   * address than the one they send as `Host` (a proxy in front).
   * @default the origin of the request
   */
  readonly publicUrl?: string | undefined;
  /**
   * 32 bytes that sign fetch URLs and derive the keys of dedup answers. Gateways that share a store
   * share the secret. @default random, so that URLs die with the process
   */
  readonly secret?: Uint8Array | undefined;
  /** How long a fetch URL works, in milliseconds. @default 3600000 */
  readonly urlLifetimeMs?: number | undefined;
  /**
   * Bytes of request bodies held in memory at any time over all requests; at least one xorb of the
   * largest size is always let in. @default 268435456
   */
  readonly bodyMemoryBytes?: number | undefined;
  /** Requests that may wait for body memory; the next is answered 503. @default 256 */
  readonly maxWaitingCount?: number | undefined;
  /** Memory for xorb footers and file records that were read lately. @default 67108864 */
  readonly cacheBytes?: number | undefined;
  /** Silence after which the last progress line of a shard upload is repeated. @default 20000 */
  readonly heartbeatMs?: number | undefined;
  /**
   * Accept shards without range hashes and compute them here. Off by default: range hashes prove
   * that the sender has the chunks that its shard names. @default false
   */
  readonly acceptUnverifiedShards?: boolean | undefined;
  /** Told about every answer with a status of 500 or above. @default nobody */
  readonly onFault?: ((fault: GatewayFault) => void) | undefined;
}

/**
 * A request as a server got it. Web Requests become one in `handle`; a server that has something
 * cheaper makes its own and calls `answer`.
 */
export interface GatewayRequest {
  /** As in the request line, upper case. */
  readonly method: string;
  /** Scheme, host and port by which the client reached us, as `URL.origin` writes them. */
  readonly origin: string;
  /** As `URL.pathname` writes it. */
  readonly path: string;
  /** What follows the `?` of the target, without it; empty when there is none. */
  readonly query: string;
  /** By lower-case name, values of several lines joined by `, `; null when there is none. */
  header(name: string): string | null;
  /**
   * The body as it arrives; null when there is none. Read at most once; who leaves early drops the
   * rest. Pieces belong to whoever reads them.
   */
  readonly body: AsyncIterable<Uint8Array> | null;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** Bytes of known length that are read into memory of whoever sends them. */
export interface PulledBody {
  readonly lengthBytes: number;
  /** Fills `into` as far as there is something left and says how far; 0 at the end. */
  fill(into: Uint8Array): Promise<number>;
  /** Ends it, read or not; safe to call twice and during a `fill`. */
  close(): Promise<void>;
}

/** What goes back for a {@link GatewayRequest}. */
export interface GatewayAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** A stream has to be read or cancelled, a pulled body has to be closed. */
  readonly body: Uint8Array | PulledBody | ReadableStream<Uint8Array> | null;
}

/** A handler from Request to Response: mount it wherever such handlers run. */
export interface Gateway {
  /** Never rejects. The response body must be read or cancelled. */
  handle(request: Request): Promise<Response>;
  /** The same for servers that do without web Requests, which cost more than a small answer. */
  answer(request: GatewayRequest): Promise<GatewayAnswer>;
  /** New requests get 503 from now on; resolves when the running ones are done. */
  close(): Promise<void>;
}
