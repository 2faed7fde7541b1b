/**
 * Which shard files know which chunks: an open-addressing table over entries as they lie on disk,
 *
 *     key (8 bytes) | name of the shard (8 bytes)
 *
 * looked up without an object for each. Keys are parts of hashes, so they need no mixing; a long
 * chain costs time and never a wrong result, because whoever looks up reads the shard itself.
 */
export const ENTRY_BYTES = 16;
const KEY_BYTES = 8;

/** Entries looked at for one key: somebody may have chosen hashes that fall on one slot. */
const MAX_PROBES = 64;

export class KeyIndex {
  #entries: Uint8Array;
  #view: DataView;
  #count = 0;
  #slots: Uint32Array;

  /** @param entries whole entries; a torn one at the end is left out */
  constructor(entries: Uint8Array) {
    const count = Math.floor(entries.length / ENTRY_BYTES);
    this.#entries = entries.slice(0, count * ENTRY_BYTES);
    this.#view = viewOf(this.#entries);
    this.#slots = new Uint32Array(slotsFor(count));
    for (let i = 0; i < count; i++) this.#insert(i);
    this.#count = count;
  }

  /** Adds whole entries. */
  add(entries: Uint8Array): void {
    const added = Math.floor(entries.length / ENTRY_BYTES);
    const needed = (this.#count + added) * ENTRY_BYTES;
    if (needed > this.#entries.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#entries.length));
      grown.set(this.#entries);
      this.#entries = grown;
      this.#view = viewOf(grown);
    }
    this.#entries.set(entries.subarray(0, added * ENTRY_BYTES), this.#count * ENTRY_BYTES);
    if (2 * (this.#count + added) > this.#slots.length) {
      this.#slots = new Uint32Array(slotsFor(this.#count + added));
      for (let i = 0; i < this.#count; i++) this.#insert(i);
    }
    for (let i = this.#count; i < this.#count + added; i++) this.#insert(i);
    this.#count += added;
  }

  /** Adds to `names` (16 hexadecimal digits each) the shards listed under the key at `offset`. */
  collect(keys: Uint8Array, offset: number, names: Set<string>): void {
    const view = viewOf(keys);
    const low = view.getUint32(offset, true);
    const high = view.getUint32(offset + 4, true);
    const mask = this.#slots.length - 1;
    for (
      let slot = low & mask, probes = 0;
      probes < MAX_PROBES;
      slot = (slot + 1) & mask, probes++
    ) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return;
      const at = (entry - 1) * ENTRY_BYTES;
      if (this.#view.getUint32(at, true) !== low || this.#view.getUint32(at + 4, true) !== high)
        continue;
      names.add(nameOf(this.#entries.subarray(at + KEY_BYTES, at + ENTRY_BYTES)));
    }
  }

  #insert(index: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#view.getUint32(index * ENTRY_BYTES, true) & mask;
    for (let probes = 0; this.#slots[slot] !== 0; probes++) {
      // Beyond what a lookup would see there is no use for it.
      if (probes === MAX_PROBES) return;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = index + 1;
  }
}

/** Entries that list a shard (16 hexadecimal digits) under all `keys`. */
export function entriesFor(keys: Uint8Array, name: string): Uint8Array {
  const count = Math.floor(keys.length / KEY_BYTES);
  const entries = new Uint8Array(count * ENTRY_BYTES);
  const nameBytes = Uint8Array.from({ length: 8 }, (_, i) =>
    Number.parseInt(name.slice(2 * i, 2 * i + 2), 16),
  );
  for (let i = 0; i < count; i++) {
    entries.set(keys.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES), i * ENTRY_BYTES);
    entries.set(nameBytes, i * ENTRY_BYTES + KEY_BYTES);
  }
  return entries;
}

/** The entries of those shards that `isLive` knows. */
export function liveEntries(entries: Uint8Array, isLive: (name: string) => boolean): Uint8Array {
  const kept = new Uint8Array(entries.length);
  let length = 0;
  for (let at = 0; at + ENTRY_BYTES <= entries.length; at += ENTRY_BYTES) {
    const entry = entries.subarray(at, at + ENTRY_BYTES);
    if (!isLive(nameOf(entry.subarray(KEY_BYTES)))) continue;
    kept.set(entry, length);
    length += ENTRY_BYTES;
  }
  return kept.subarray(0, length);
}

function nameOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A power of two, at most half full. */
function slotsFor(count: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(2 * Math.max(1, count))));
}
