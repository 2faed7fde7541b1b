import { withRoom } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { MerkleHash } from '../hash/index.js';
import { FOOTER_BYTES, RECORD_BYTES, SHARD_MAX_BYTES } from './constants.js';
import { decodeFooter, readHeader } from './footer.js';
import { HashTable } from './hash-table.js';
import {
  claimedFileBytes,
  claimedXorbBytes,
  type FileRecords,
  isBookend,
  readXorb,
  startFile,
} from './records.js';
import type { ShardFile, ShardFooter, ShardXorb } from './types.js';

/** One complete thing out of a shard, in the order of its bytes. */
export type ShardEvent =
  | { readonly type: 'file'; readonly file: ShardFile }
  | { readonly type: 'xorb'; readonly xorb: ShardXorb }
  | { readonly type: 'footer'; readonly footer: ShardFooter };

/** Options of {@link createShardReader}. */
export interface ShardReaderOptions {
  /**
   * Budget for header and sections, in bytes. A record that claims more than is left of it is
   * refused as soon as its header is there. @default SHARD_MAX_BYTES
   */
  readonly maxBytes?: number;
  /**
   * `read`: a footer that the header announces must be there and is read. `ignore`: everything
   * after the xorb section is dropped unseen, whatever the header says (uploads: some clients send
   * a footer, some announce one; nothing in it matters there). @default 'read'
   */
  readonly footer?: 'read' | 'ignore';
}

/** A shard that arrives piece by piece. */
export interface ShardReader {
  /** Takes the next bytes (borrowed for the call); returns what became complete. */
  push(bytes: Uint8Array): ShardEvent[];
  /** Ends the input. @throws `TRUNCATED` when a section or an announced footer is missing */
  finish(): ShardEvent[];
}

type State = 'header' | 'files' | 'xorbs' | 'rest';

/**
 * Reads a shard as a stream. Memory holds the one record that is not complete yet and each xorb that was
 * named once, and grows only
 * with bytes that came, never by a count that the bytes claim; all checks of counts against the
 * budget come before. Bytes after the xorb section are not kept, except the last 200 when they are
 * a footer. Duplicates are passed on; `decodeShard` drops them.
 *
 * @throws OrbweaverError `FORMAT_INVALID`, `UNSUPPORTED`, `LIMIT_EXCEEDED`, `TRUNCATED`, from `push`
 * or `finish`; the reader is useless afterwards.
 *
 * @example
 * const reader = createShardReader({ maxBytes: 16 * 1024 * 1024 });
 * for await (const piece of body) for (const event of reader.push(piece)) handle(event);
 * for (const event of reader.finish()) handle(event);
 */
export function createShardReader(options: ShardReaderOptions = {}): ShardReader {
  const maxBytes = options.maxBytes ?? SHARD_MAX_BYTES;
  const wantFooter = (options.footer ?? 'read') === 'read';
  let state: State = 'header';
  let hasFooter = false;
  // The record under way: what came of it, how much it takes, where it starts in the shard.
  let pending = new Uint8Array(0);
  let pendingLength = 0;
  let consumed = 0;
  /** The file under way, of which the header was read. */
  let file: FileRecords | null = null;
  // In state `rest`: the last bytes seen, up to one footer.
  const tail = new Uint8Array(FOOTER_BYTES);
  let tailLength = 0;
  // Xorbs that terms name: a million terms over some hundred xorbs share as many objects.
  let xorbNumbers: HashTable | null = null;
  const xorbs: MerkleHash[] = [];

  function xorbOf(hash: Uint8Array): MerkleHash {
    xorbNumbers ??= new HashTable();
    const number = xorbNumbers.add(hash, 0);
    if (number === xorbs.length) xorbs.push(MerkleHash.from(hash));
    return xorbs[number] as MerkleHash;
  }

  /** Bytes of the record that starts at `at`, or 0 while too few are there to know. */
  function recordBytes(window: Uint8Array, at: number): number {
    if (window.length - at < RECORD_BYTES) return 0;
    if (state === 'header' || isBookend(window, at)) return RECORD_BYTES;
    const claimed = state === 'files' ? claimedFileBytes(window, at) : claimedXorbBytes(window, at);
    if (claimed > maxBytes - consumed) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `record at offset ${consumed} expected at most ${maxBytes - consumed} bytes, claims ${claimed}`,
        { offset: consumed, claimed, maxBytes },
      );
    }
    return claimed;
  }

  function take(window: Uint8Array, at: number, events: ShardEvent[]): void {
    if (state === 'header') {
      hasFooter = readHeader(window.subarray(at, at + RECORD_BYTES)) && wantFooter;
      state = 'files';
    } else if (isBookend(window, at)) {
      state = state === 'files' ? 'xorbs' : 'rest';
    } else if (state === 'files') {
      file = startFile(window, at, xorbOf);
    } else {
      events.push({ type: 'xorb', xorb: readXorb(window, at) });
    }
  }

  /** Takes complete records out of `window`; returns where the incomplete one starts. */
  function drain(window: Uint8Array, events: ShardEvent[]): number {
    let at = 0;
    while (state !== 'rest') {
      if (consumed + RECORD_BYTES > maxBytes) {
        throw new OrbweaverError(
          'LIMIT_EXCEEDED',
          `shard expected at most ${maxBytes} bytes before its end mark, got more`,
          { offset: consumed, maxBytes },
        );
      }
      if (file === null) {
        const claimed = recordBytes(window, at);
        const isFile = state === 'files' && claimed > 0 && !isBookend(window, at);
        const length = isFile ? RECORD_BYTES : claimed;
        if (length === 0 || window.length - at < length) break;
        take(window, at, events);
        at += length;
        consumed += length;
      }
      const open = underWay();
      if (open === null) continue;
      const taken = open.take(window.subarray(at), consumed);
      at += taken;
      consumed += taken;
      if (open.missingBytes > 0) break;
      events.push({ type: 'file', file: open.finish() });
      file = null;
    }
    return at;
  }

  function keep(bytes: Uint8Array): void {
    pending = withRoom(pending, pendingLength + bytes.length, pendingLength);
    pending.set(bytes, pendingLength);
    pendingLength += bytes.length;
  }

  function keepTail(bytes: Uint8Array): void {
    if (!hasFooter) return;
    const fresh = bytes.subarray(Math.max(0, bytes.length - FOOTER_BYTES));
    const old = Math.min(tailLength, FOOTER_BYTES - fresh.length);
    tail.copyWithin(0, tailLength - old, tailLength);
    tail.set(fresh, old);
    tailLength = old + fresh.length;
  }

  function push(bytes: Uint8Array): ShardEvent[] {
    const events: ShardEvent[] = [];
    if (state === 'rest') {
      keepTail(bytes);
      return events;
    }
    let rest = bytes;
    if (pendingLength > 0) {
      keep(bytes);
      rest = pending.subarray(0, pendingLength);
    }
    const at = drain(rest, events);
    const left = rest.subarray(at);
    if (isRest()) {
      keepTail(left);
      pending = new Uint8Array(0);
      pendingLength = 0;
    } else if (pendingLength === 0) {
      keep(left);
    } else if (at > 0) {
      pending.copyWithin(0, at, pendingLength);
      pendingLength -= at;
    }
    return events;
  }

  // Set inside take(); a call keeps the compiler from narrowing it away.
  function underWay(): FileRecords | null {
    return file;
  }

  // `state` changes inside drain(); a call keeps the compiler from narrowing it away.
  function isRest(): boolean {
    return state === 'rest';
  }

  function finish(): ShardEvent[] {
    if (state !== 'rest') {
      throw new OrbweaverError(
        'TRUNCATED',
        `"${state}" expected to go on at offset ${consumed + pendingLength}, got the end`,
        { field: state, offset: consumed + pendingLength },
      );
    }
    if (!hasFooter) return [];
    if (tailLength < FOOTER_BYTES) {
      throw new OrbweaverError(
        'TRUNCATED',
        `"footer" expected ${FOOTER_BYTES} bytes after the sections, got ${tailLength}`,
        { field: 'footer', offset: consumed },
      );
    }
    return [{ type: 'footer', footer: decodeFooter(tail) }];
  }

  return { push, finish };
}

/** Bytes that are read in one step: a thousand records. */
const STEP_BYTES = 48 * 1024;

/** {@link ShardReader.push} in steps, for whoever has others to serve; `bytes` is borrowed until the last. */
export function* pushInSteps(
  reader: ShardReader,
  bytes: Uint8Array,
): Generator<void, ShardEvent[]> {
  const events: ShardEvent[] = [];
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    if (at > 0) yield;
    for (const event of reader.push(bytes.subarray(at, at + STEP_BYTES))) events.push(event);
  }
  return events;
}
