import type { MerkleHash } from '../hash/index.js';
import type { Body, HttpHeaders } from '../http/index.js';
import type { VerifiedXorb } from '../xorb/index.js';

export type { VerifiedXorb };

/**
 * What the gateway needs from outside: a place for objects, someone to verify xorbs, someone who
 * knows who is asking. Nothing else of the world enters: a gateway over the memory store and a fake
 * clock behaves the same in a test as over a disk.
 */

/** Bytes `[start, end)` of a stored object. */
export interface ObjectRange {
  readonly start: number;
  readonly end: number;
}

/** What is known about an object without reading it. */
export interface ObjectInfo {
  readonly sizeBytes: number;
  /** When it was stored, milliseconds since 1970. Orders dedup responses, newest first. */
  readonly modifiedMs: number;
  /** Another text after anything has written to the object, as far as the store can tell. */
  readonly version: string;
  /**
   * True when the store can tell that nothing has written to the object since `put` or `seal`: its
   * bytes then need no second look. False where it cannot tell.
   */
  readonly intact: boolean;
}

/** One line of a listing. */
export interface ObjectEntry {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** Bytes to store: one array, several that follow each other, or a stream of them. */
export type ObjectBody = Uint8Array | readonly Uint8Array[] | AsyncIterable<Uint8Array>;

/** How an object is put. */
export interface PutOptions {
  /** Takes the place of an object of that name, in one step. @default false */
  readonly replace?: boolean | undefined;
}

/** A part of an object, and what follows it: see `ObjectStore.putFrom`. */
export interface ObjectPart {
  readonly key: string;
  /** The version that was looked at; another one is not taken. */
  readonly version: string;
  /** Bytes `[0, endBytes)` of it are taken. */
  readonly endBytes: number;
  /** Stored behind them; may be empty. */
  readonly tail: Uint8Array;
}

/** What a signed request may store, and for how long. */
export interface SignedPutOptions {
  /** Exact length of the body. */
  readonly sizeBytes: number;
  /** CRC-64/NVME of the body: what S3 calls `x-amz-checksum-crc64nvme`. */
  readonly crc64nvme: bigint;
  readonly lifetimeMs: number;
}

/** A request that anybody may send who has it, with the object as its body. */
export interface SignedPut {
  readonly method: string;
  /** Absolute. A secret until it has expired. */
  readonly url: string;
  /** To be sent exactly as they are, and no others that the store's signature would cover. */
  readonly headers: HttpHeaders;
}

/** What a signed request may read, and for how long: bytes `[start, end)`, at least one. */
export interface SignedGetOptions extends ObjectRange {
  readonly lifetimeMs: number;
}

/** A GET of one range that anybody may send who has it, with that range in its `Range` header. */
export interface SignedGet {
  /** Absolute. A secret until it has expired. */
  readonly url: string;
}

/** The end of an object, and what `head` says of it. */
export interface ObjectTail {
  readonly bytes: Uint8Array;
  readonly info: ObjectInfo;
}

/** What a store says about its place. */
export interface StoreState {
  /** `full`: nothing can be added; `read-only`: nothing can be written. */
  readonly state: 'ok' | 'full' | 'read-only' | 'failing';
  /** One sentence, for operators; it may name paths. */
  readonly detail: string;
  readonly freeBytes: number | null;
}

/**
 * Immutable objects under keys. A key is two to five segments joined by `/`; a segment is 1 to 128
 * of `a-z 0-9 . _ -` and starts with a letter or a digit (`isObjectKey` in `stores/`); any other key
 * is a `RangeError`. Implementations: `stores/`. Every one passes `test/gateway/support/store-suite.ts`.
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
   * A copy of the last `bytes` of the object, or of all of a shorter one, with what `head` says of the same
   * version; null when there is no such object. Absent where that is no fewer requests than `head` and
   * `read`.
   */
  readTail?(key: string, bytes: number): Promise<ObjectTail | null>;
  /** The object, open for reads into memory of the caller; null when there is no such object. */
  open(key: string): Promise<ObjectReader | null>;
  /**
   * Stores the object if the key is free and returns true; returns false, and changes nothing, when
   * it is taken. With `replace` it always stores. Atomic: no reader ever sees a part, and of two
   * writers without `replace` exactly one gets true. The body is borrowed until the promise settles.
   */
  put(key: string, body: ObjectBody, options?: PutOptions): Promise<boolean>;
  /**
   * The same as `put`, with bytes of another object that this process need not see again. That object
   * may be gone afterwards. Absent where it would be no cheaper than reading it and putting it. Null,
   * and nothing is changed: there is no such object any more, or it has another version.
   */
  putFrom?(key: string, part: ObjectPart, options?: PutOptions): Promise<boolean | null>;
  /**
   * A request by which a client stores an object under a free `key` by itself, without the bytes
   * passing here. What it stores is unproved. Absent where only the gateway can write; upload grants
   * then name a URL of the gateway's own.
   *
   * The request has to fail with 412 when the key is taken, with 400 for other bytes than announced,
   * and with 403 or 400 when its time is over.
   */
  signedPut?(key: string, options: SignedPutOptions): Promise<SignedPut>;
  /**
   * A request by which a client reads a range of an object by itself, without the bytes passing here.
   * Absent where only the gateway can read. Any other range has to fail with 403.
   */
  signedGet?(key: string, options: SignedGetOptions): Promise<SignedGet>;
  /** The object was read and is what it should be: `intact` may be true from now on. */
  seal?(key: string, version: string): Promise<void>;
  /** Objects whose key starts with `prefix`: one to four whole segments and a `/`. Any order. */
  list(prefix: string): AsyncIterable<ObjectEntry>;
  /** True when there was one. */
  delete(key: string): Promise<boolean>;
  /**
   * Drops what puts below `prefix` have left that were begun before then and never ended: their process was
   * killed. How many there were; with `dryRun` all of them stay. Absent where nothing is left.
   */
  dropUnfinished?(
    prefix: string,
    options: { readonly beforeMs: number; readonly dryRun: boolean },
  ): Promise<number>;
  /** Values that change, beside the objects. Absent where nothing can be compared and swapped. */
  readonly values?: ValueStore | undefined;
  /** Whether it can be written to. Never rejects. */
  check?(): Promise<StoreState>;
  /** Gives back what the store keeps open between calls. It works on afterwards. */
  close?(): Promise<void>;
}

/** A value that is there. */
export interface StoredValue {
  readonly bytes: Uint8Array;
  /** Never the same again for this key, whatever is written or deleted. */
  readonly version: string;
}

/**
 * The few things that change: small values under keys of the same grammar, in a name space of their own.
 * Whoever writes says which version it has seen, so of two who change one value at the same time one
 * learns that it has to look again. It is all that gateways over one store share to agree on something.
 * Implementations: `stores/`; suite: `test/gateway/support/value-suite.ts`.
 */
export interface ValueStore {
  /** A copy of the value; null when there is none. */
  read(key: string): Promise<StoredValue | null>;
  /**
   * Writes if the value still has the version `expected` (null: there is none). Returns the new
   * version, or null: somebody else was faster, and nothing is changed. At most `MAX_VALUE_BYTES`
   * (`RangeError`).
   */
  write(key: string, bytes: Uint8Array, expected: string | null): Promise<string | null>;
  /** Deletes it if it still has that version. False: it has another one, or is gone. */
  delete(key: string, expected: string): Promise<boolean>;
  /** Values whose key starts with `prefix`, as `ObjectStore.list`. Any order. */
  list(prefix: string): AsyncIterable<ValueEntry>;
}

/** One line of a listing of values. */
export interface ValueEntry {
  readonly key: string;
  readonly modifiedMs: number;
}

/** An open object. */
export interface ObjectReader {
  readonly sizeBytes: number;
  /** Says that bytes `[start, end)` are read next, in order: they may be asked for at once. */
  expect?(start: number, end: number): void;
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
   * `body` is the caller's to cancel.
   * @throws OrbweaverError a format code for bytes that are no xorb; what `body` throws
   */
  receive(body: Pick<Body, 'fill'>): AsyncGenerator<Uint8Array, VerifiedXorb, undefined>;
}

/** Where files come from that are not registered here. Implementation: `createMirror` in `compose/`. */
export interface FileSource {
  /**
   * Resolves with true when the file is registered here now, and with false when the source has none.
   * What it throws is the response: `failure` with a status.
   */
  bring(file: MerkleHash): Promise<boolean>;
}

/**
 * What somebody may do: `read` reads and asks; `append` uploads and asks, and reads nothing back (for
 * backups); `write` does all of that; `admin` includes everything that is ever offered.
 */
export type TokenScope = 'read' | 'append' | 'write' | 'admin';

/** Who is asking. */
export interface Principal {
  /** For logs and limits; never a token. */
  readonly id: string;
  readonly scope: TokenScope;
  /**
   * Whose data it is: 1 to 64 of `a-z 0-9 . _ -`, the first a letter or a digit. A tenant has a store of
   * its own below `tenants/<tenant>/` and meets nothing that others have. @default one for all that
   * name none
   */
  readonly tenant?: string | undefined;
  /** What the token was made for, where that is known. The gateway passes it on. */
  readonly repository?: string | undefined;
}

/** The head of a request, which is all that says who sent it. */
export interface RequestHead {
  readonly method: string;
  readonly url: URL;
  readonly headers: HttpHeaders;
  /** Address of the client, beyond trusted proxies, where it is known. */
  readonly client?: string | undefined;
}

/**
 * Says who is asking; null: nobody known, which is a 401. What it throws is a fault of the server, unless
 * it is an error with a status of its own, as `TokenSigner.verify` throws for a token that has expired.
 */
export type Authenticate = (request: RequestHead) => Principal | null | Promise<Principal | null>;

/** A bearer token that the gateway accepts. */
export interface GatewayToken {
  /** At least 1 character; no spaces or control characters (they cannot stand in a header). */
  readonly token: string;
  readonly scope: TokenScope;
  /** Name of its bearer. @default `token` and its position in the list */
  readonly id?: string | undefined;
  readonly tenant?: string | undefined;
}

/** A request that is over: its response was sent, or nobody takes it. Never holds a token or a query. */
export interface GatewayAccess {
  readonly requestId: string;
  readonly method: string;
  /** Path without the query, where signatures live. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the body of the response that were taken. */
  readonly sentBytes: number;
  /** From the head of the request to the end of the response. */
  readonly durationMs: number;
  /** Id of the principal; null where nobody was asked or known. */
  readonly principal: string | null;
  /** Address of the client, beyond trusted proxies; null where it is not known. */
  readonly client: string | null;
}

/** A response that is a fault of the server or of the store. Never holds a token or a query string. */
export interface GatewayFault {
  readonly requestId: string;
  readonly method: string;
  /** Path without the query, where signatures live. */
  readonly path: string;
  readonly status: number;
  readonly error: unknown;
}
