import { zipInvalid } from './zip-error.js';

/**
 * ZIP64 (APPNOTE 4.3.14, 4.3.15, 4.5.3): a field of 16 or 32 bits that is all ones refers to a wider
 * one elsewhere. For sizes and offsets of an entry that is the extra field 0x0001, which holds, in
 * this order, only those that are all ones:
 *
 *     u16  0x0001        u64  size               (both sizes are always there
 *     u16  length        u64  compressed size     in a local header)
 *                        u64  offset of the local header
 *                        u32  disk
 */

/** "See ZIP64" in a field of 16 bits. */
export const MASK_16 = 0xffff;

/** "See ZIP64" in a field of 32 bits. */
export const MASK_32 = 0xffffffff;

const ZIP64_EXTRA_ID = 0x0001;

/** Fields of a record that ZIP64 may widen. */
export interface WideFields {
  sizeBytes: number;
  compressedBytes: number;
  /** Zero in a local header. */
  headerOffset: number;
  /** Zero in a local header. */
  disk: number;
}

/** A u64 as a number. @throws OrbweaverError `ZIP_INVALID` above 2^53 - 1 */
export function readU64(archive: string, view: DataView, at: number, what: string): number {
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  if (!Number.isSafeInteger(value)) throw zipInvalid(archive, `${what} below 2^53`, value);
  return value;
}

/** Writes a safe integer as a u64. */
export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/**
 * The ZIP64 extra field among a record's extra fields, null when there is none. A last piece too
 * short for a header is padding, which archivers that align data leave there.
 *
 * @throws OrbweaverError `ZIP_INVALID` when a field is longer than what is left, or ZIP64 is there twice
 */
export function findZip64Extra(archive: string, entry: string, extra: Uint8Array): DataView | null {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  let found: DataView | null = null;
  let at = 0;
  while (at + 4 <= extra.length) {
    const id = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    const start = at + 4;
    if (start + length > extra.length) {
      const got = `one of ${length}`;
      throw zipInvalid(archive, `an extra field of "${entry}" that fits`, got, { entry });
    }
    if (id === ZIP64_EXTRA_ID) {
      if (found !== null) {
        throw zipInvalid(archive, `one ZIP64 field of "${entry}"`, 'two', { entry });
      }
      found = new DataView(extra.buffer, extra.byteOffset + start, length);
    }
    at = start + length;
  }
  return found;
}

/**
 * Replaces the fields that are all ones by those of the extra field.
 * @throws OrbweaverError `ZIP_INVALID` when one is not there
 */
export function widen(
  archive: string,
  entry: string,
  fields: WideFields,
  extra: DataView | null,
): void {
  let at = 0;
  const take = (bytes: number, what: string): number => {
    if (extra === null || at + bytes > extra.byteLength) {
      const expected = `${what} of "${entry}" in its ZIP64 field`;
      throw zipInvalid(archive, expected, 'none', { entry, feature: 'zip64' });
    }
    const value =
      bytes === 4
        ? extra.getUint32(at, true)
        : readU64(archive, extra, at, `${what} of "${entry}"`);
    at += bytes;
    return value;
  };
  if (fields.sizeBytes === MASK_32) fields.sizeBytes = take(8, 'the size');
  if (fields.compressedBytes === MASK_32) fields.compressedBytes = take(8, 'the compressed size');
  if (fields.headerOffset === MASK_32) fields.headerOffset = take(8, 'the offset');
  if (fields.disk === MASK_16) fields.disk = take(4, 'the disk');
}

/** A ZIP64 extra field of these values, in the order of the format. */
export function zip64Extra(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 + 8 * values.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ZIP64_EXTRA_ID, true);
  view.setUint16(2, 8 * values.length, true);
  values.forEach((value, i) => {
    writeU64(view, 4 + 8 * i, value);
  });
  return bytes;
}
