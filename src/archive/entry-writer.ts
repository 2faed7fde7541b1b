import {
  DESCRIPTOR_SIGNATURE,
  DIRECTORY_RECORD_BYTES,
  DIRECTORY_SIGNATURE,
  FLAG_DESCRIPTOR,
  FLAG_UTF8,
  LOCAL_HEADER_BYTES,
  LOCAL_SIGNATURE,
  METHOD_DEFLATE,
  viewOf,
} from './entry-record.js';
import { MASK_32, writeU64, zip64Extra } from './zip64.js';

/**
 * The records of an entry as our writer makes them (layouts in entry-record.ts): deflate, names in
 * UTF-8, CRC-32 and sizes behind the data.
 */
export interface EntryToWrite {
  readonly nameBytes: Uint8Array;
  /** Date and time of MS-DOS. */
  readonly dosTime: number;
  /**
   * The local header has a ZIP64 field, so that the sizes behind the data have 64 bits. It must be
   * known before the first byte.
   */
  readonly isWide: boolean;
}

/** What is known when the entry has been written. */
export interface WrittenEntry extends EntryToWrite {
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  readonly headerOffset: number;
}

const VERSION_DEFLATE = 20;
const VERSION_ZIP64 = 45;

/** Size and compressed size, both unknown, in a local header. */
const UNKNOWN_SIZES: readonly number[] = [0, 0];

/** Date and time as MS-DOS has them: local time, in steps of two seconds. */
export function dosTimeOf(date: Date): number {
  const year = date.getFullYear();
  if (!(year >= 1980 && year <= 2099)) {
    throw new RangeError(`"modifiedAt" expected a year from 1980 to 2099, got ${year}`);
  }
  const day = ((year - 1980) << 25) | ((date.getMonth() + 1) << 21) | (date.getDate() << 16);
  const time = (date.getHours() << 11) | (date.getMinutes() << 5) | (date.getSeconds() >> 1);
  return (day | time) >>> 0;
}

export function writeLocalHeader({ nameBytes, dosTime, isWide }: EntryToWrite): Uint8Array {
  const extra = isWide ? zip64Extra(UNKNOWN_SIZES) : new Uint8Array(0);
  const bytes = new Uint8Array(LOCAL_HEADER_BYTES + nameBytes.length + extra.length);
  const view = viewOf(bytes);
  view.setUint32(0, LOCAL_SIGNATURE, true);
  writeCommon(view, 4, { dosTime, isWide });
  if (isWide) {
    view.setUint32(18, MASK_32, true);
    view.setUint32(22, MASK_32, true);
  }
  view.setUint16(26, nameBytes.length, true);
  view.setUint16(28, extra.length, true);
  bytes.set(nameBytes, LOCAL_HEADER_BYTES);
  bytes.set(extra, LOCAL_HEADER_BYTES + nameBytes.length);
  return bytes;
}

/** Bytes of the descriptor behind the data. */
export function descriptorBytes(isWide: boolean): number {
  return isWide ? 24 : 16;
}

/**
 * CRC-32 and sizes behind the data. An entry that has outgrown 32 bits although its header did not
 * announce it has 64-bit sizes all the same, as those of the JDK and of Go have.
 */
export function writeDescriptor(entry: WrittenEntry): Uint8Array {
  const isWide = needsWideDescriptor(entry);
  const bytes = new Uint8Array(descriptorBytes(isWide));
  const view = viewOf(bytes);
  view.setUint32(0, DESCRIPTOR_SIGNATURE, true);
  view.setUint32(4, entry.crc32, true);
  if (isWide) {
    writeU64(view, 8, entry.compressedBytes);
    writeU64(view, 16, entry.sizeBytes);
  } else {
    view.setUint32(8, entry.compressedBytes, true);
    view.setUint32(12, entry.sizeBytes, true);
  }
  return bytes;
}

/** Whether the sizes behind an entry's data have 64 bits. */
export function needsWideDescriptor(entry: {
  readonly isWide: boolean;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
}): boolean {
  return entry.isWide || entry.compressedBytes > MASK_32 || entry.sizeBytes > MASK_32;
}

/** Bytes of the header in front of the data. */
export function localHeaderBytes({ nameBytes, isWide }: EntryToWrite): number {
  return LOCAL_HEADER_BYTES + nameBytes.length + (isWide ? 4 + 8 * UNKNOWN_SIZES.length : 0);
}

/** Bytes that follow the data, in the descriptor and in the directory, at least. */
export function trailingBytes({ nameBytes, isWide }: EntryToWrite): number {
  return descriptorBytes(isWide) + DIRECTORY_RECORD_BYTES + nameBytes.length;
}

export function writeDirectoryRecord(entry: WrittenEntry): Uint8Array {
  const { nameBytes, sizeBytes, compressedBytes, headerOffset } = entry;
  const wide = [sizeBytes, compressedBytes, headerOffset].filter((value) => value >= MASK_32);
  const extra = wide.length === 0 ? new Uint8Array(0) : zip64Extra(wide);
  const bytes = new Uint8Array(DIRECTORY_RECORD_BYTES + nameBytes.length + extra.length);
  const view = viewOf(bytes);
  view.setUint32(0, DIRECTORY_SIGNATURE, true);
  const isWide = entry.isWide || wide.length > 0;
  view.setUint16(4, isWide ? VERSION_ZIP64 : VERSION_DEFLATE, true);
  writeCommon(view, 6, { dosTime: entry.dosTime, isWide });
  view.setUint32(16, entry.crc32, true);
  view.setUint32(20, Math.min(compressedBytes, MASK_32), true);
  view.setUint32(24, Math.min(sizeBytes, MASK_32), true);
  view.setUint16(28, nameBytes.length, true);
  view.setUint16(30, extra.length, true);
  view.setUint32(42, Math.min(headerOffset, MASK_32), true);
  bytes.set(nameBytes, DIRECTORY_RECORD_BYTES);
  bytes.set(extra, DIRECTORY_RECORD_BYTES + nameBytes.length);
  return bytes;
}

/** Version needed, flags, method and time: the same in both records. */
function writeCommon(
  view: DataView,
  at: number,
  { dosTime, isWide }: { readonly dosTime: number; readonly isWide: boolean },
): void {
  view.setUint16(at, isWide ? VERSION_ZIP64 : VERSION_DEFLATE, true);
  view.setUint16(at + 2, FLAG_DESCRIPTOR | FLAG_UTF8, true);
  view.setUint16(at + 4, METHOD_DEFLATE, true);
  view.setUint32(at + 6, dosTime, true);
}
