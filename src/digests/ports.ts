/** The digests of a file that somebody asks for, all from one pass over its bytes. Types only. */

/**
 * - `md5`: of the whole content, 32 hex digits
 * - `md5Ends`: MD5 of the first MiB followed by the last MiB; null up to 1 GiB
 * - `sha256`: 64 hex digits
 * - `cidRaw`: CIDv1, raw codec, SHA-256 of the whole content, base32 (`bafkrei…`)
 * - `cid256KiB174`, `cid1MiB1024`: CIDv1 of the balanced UnixFS DAG with raw leaves of 256 KiB and
 *   174 links per node, or 1 MiB and 1024 links (`bafkrei…` for one leaf, `bafybei…` for more)
 * - `fileHash`: the Xet file hash, 64 hex digits in the order of that protocol
 */
export type DigestName =
  | 'md5'
  | 'md5Ends'
  | 'sha256'
  | 'cidRaw'
  | 'cid256KiB174'
  | 'cid1MiB1024'
  | 'fileHash';

/** Digest texts by name; null where one is not defined for this content. */
export type Digests = Readonly<Partial<Record<DigestName, string | null>>>;

/** Digests in the making. */
export interface DigestStream {
  /**
   * Takes the next bytes. They must stay as they are until the promise has settled; several calls may
   * be under way, they count in the order of the calls.
   */
  update(bytes: Uint8Array): Promise<void>;
  /** All that were asked for. To be called once. */
  finish(): Promise<Digests>;
  /** Nothing more is wanted. Safe to call at any time. */
  dispose(): void;
}

/** Makes digests, on threads where there are some. */
export interface DigestMaker {
  /**
   * @param expectedBytes size of the content, when known: little content is digested in place
   */
  create(names: readonly DigestName[], expectedBytes?: number): DigestStream;
  /** Ends the threads. */
  close(): Promise<void>;
}
