/**
 * One interface for every system that files are uploaded to. The engine reads the source once, feeds
 * the digests that a target asks for, cuts what the target calls parts, and drives
 *
 *     plan ─► send (each part, some at a time) ─► commit ─► status … ─► done
 *
 * writing the journal before every step that cannot be repeated or that spends money.
 */

/** Whether a step may be made again when nobody knows how it went. */
export type Repeatable = 'yes' | 'after-check' | 'never';

/** What a failure of a target means, whatever its own words are. */
export type TargetErrorClass =
  | 'auth'
  | 'quota'
  | 'conflict'
  | 'integrity'
  | 'permanent'
  | 'transient'
  | 'unknown-outcome'
  | 'payment-required';

/** What a target can do. */
export interface TargetAbilities {
  readonly unit: 'content-chunks' | 'fixed-parts' | 'whole';
  /** Parts under way at once, at most. */
  readonly parallelParts: number;
  readonly resume: 'parts' | 'state-only' | 'none';
  readonly dedup: 'chunk' | 'file' | 'none';
  /** The commit goes on after `commit` has returned; `status` says how far it is. */
  readonly asyncCommit: boolean;
  readonly costsMoney: boolean;
  readonly cancel: 'server' | 'client-only';
  /** Largest file, bytes. */
  readonly maxBytes?: number | undefined;
}

/** Digests that a target may ask for; all of them come from one pass over the source. */
export type DigestName =
  | 'md5'
  | 'md5Ends'
  | 'sha256'
  | 'cidRaw'
  | 'cid256KiB174'
  | 'cid1MiB1024'
  | 'fileHash';

/** Digest texts by name. `md5Ends` is null up to 1 GiB, where it is not defined. */
export type Digests = Readonly<Partial<Record<DigestName, string | null>>>;
