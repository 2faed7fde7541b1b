import { MerkleHash } from '../hash/index.js';
import { damaged } from './failures.js';

/**
 * What the collector (`upkeep/collect.ts`) and gateways tell each other, as values of the store:
 *
 *   gc/state            how often lists were published, which lists there are, who is deleting
 *   gc/condemned/<xx>   xorbs and shards whose hash begins with the two digits, that no file needs:
 *                       since when, and which of them are being deleted right now
 *
 * A list only grows when it is published, which the count in `gc/state` tells afterwards. Everybody may
 * take objects out of one; docs/gateway.md has the argument why nothing that somebody needs is lost.
 */
export const GC_STATE_KEY = 'gc/state';
const LIST_PREFIX = 'gc/condemned/';
export const condemnedKey = (digits: string): string => LIST_PREFIX + digits;

/** The list in which an object stands: `key` is `xorbs/<hash>` or `shards/<hash>`. */
export const digitsOf = (key: string): string =>
  key.slice(key.indexOf('/') + 1, key.indexOf('/') + 3);

export interface GcState {
  /** Rises whenever lists were published, and when deleting is over. */
  readonly generation: number;
  /** Lists that may hold something. */
  readonly lists: readonly string[];
  /** Runs that may be deleting. */
  readonly sweeps: readonly { readonly id: string; readonly untilMs: number }[];
}

export const NO_STATE: GcState = { generation: 0, lists: [], sweeps: [] };

/** When an object was condemned. A run condemns no object twice, so no two of one object are equal. */
export interface Since {
  /** Milliseconds since 1970. */
  readonly ms: number;
  /** A number of the run that did it, by chance. */
  readonly run: number;
}

/** One list. */
export interface Condemned {
  /** By key of the object. */
  readonly since: ReadonlyMap<string, Since>;
  /** Object keys that are being deleted, until a time; later nobody is deleting them any more. */
  readonly deleting: ReadonlySet<string>;
  readonly deletingUntilMs: number;
}

export const NO_CONDEMNED: Condemned = {
  since: new Map(),
  deleting: new Set(),
  deletingUntilMs: 0,
};

/** Objects in one list: with those that are being deleted it stays below 1 MiB, the most of a value. */
export const MAX_CONDEMNED = 22_000;
/** Objects that are deleted at a time. */
export const MAX_DELETING = 256;

/** @throws OrbweaverError `INTEGRITY` */
export function decodeState(bytes: Uint8Array | undefined): GcState {
  if (bytes === undefined) return NO_STATE;
  try {
    const { generation, lists, sweeps } = JSON.parse(new TextDecoder().decode(bytes)) as GcState;
    if (!Number.isSafeInteger(generation)) throw new TypeError('"generation"');
    return { generation, lists: [...lists], sweeps: [...sweeps] };
  } catch (cause) {
    throw damaged(`the value ${GC_STATE_KEY}`, cause);
  }
}

export function encodeState(state: GcState): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(state));
}

// version, time until which is deleted, count of those, count of condemned; then the entries.
const VERSION = 1;
const HEAD_BYTES = 1 + 8 + 4 + 4;
const NAME_BYTES = 1 + 32;
const SINCE_BYTES = 8 + 4;
const KINDS = ['xorbs', 'shards'] as const;

export function encodeCondemned({ since, deleting, deletingUntilMs }: Condemned): Uint8Array {
  const bytes = new Uint8Array(
    HEAD_BYTES + NAME_BYTES * deleting.size + (NAME_BYTES + SINCE_BYTES) * since.size,
  );
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setFloat64(1, deletingUntilMs);
  view.setUint32(9, deleting.size);
  view.setUint32(13, since.size);
  let at = HEAD_BYTES;
  const writeName = (key: string): void => {
    const [kind, hash] = key.split('/') as [(typeof KINDS)[number], string];
    view.setUint8(at, KINDS.indexOf(kind));
    bytes.set(MerkleHash.parse(hash).bytes, at + 1);
    at += NAME_BYTES;
  };
  for (const key of deleting) writeName(key);
  for (const [key, { ms, run }] of since) {
    writeName(key);
    view.setFloat64(at, ms);
    view.setUint32(at + 8, run);
    at += SINCE_BYTES;
  }
  return bytes;
}

/** @throws OrbweaverError `INTEGRITY` */
export function decodeCondemned(bytes: Uint8Array | undefined): Condemned {
  if (bytes === undefined) return NO_CONDEMNED;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isWhole =
    bytes.length >= HEAD_BYTES &&
    view.getUint8(0) === VERSION &&
    bytes.length ===
      HEAD_BYTES + NAME_BYTES * view.getUint32(9) + (NAME_BYTES + SINCE_BYTES) * view.getUint32(13);
  if (!isWhole) throw damaged('a list of condemned objects');
  let at = HEAD_BYTES;
  const readName = (): string => {
    const kind = KINDS[view.getUint8(at)];
    if (kind === undefined) throw damaged('a list of condemned objects');
    const key = `${kind}/${MerkleHash.from(bytes, at + 1)}`;
    at += NAME_BYTES;
    return key;
  };
  const deleting = new Set<string>();
  for (let left = view.getUint32(9); left > 0; left--) deleting.add(readName());
  const since = new Map<string, Since>();
  for (let left = view.getUint32(13); left > 0; left--) {
    const key = readName();
    since.set(key, { ms: view.getFloat64(at), run: view.getUint32(at + 8) });
    at += SINCE_BYTES;
  }
  return { since, deleting, deletingUntilMs: view.getFloat64(1) };
}
