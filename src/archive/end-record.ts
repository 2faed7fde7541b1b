import { unsupported, viewOf } from './entry-record.js';
import { zipInvalid } from './zip-error.js';
import { MASK_16, MASK_32, readU64, writeU64 } from './zip64.js';

/**
 * What follows the central directory (APPNOTE 4.3.14 to 4.3.16). The two records of ZIP64 are there
 * when a field of the last one would not hold its value:
 *
 *     ZIP64 end record              locator                      end record
 *     0   u32  50 4b 06 06          0   u32  50 4b 06 07         0   u32  50 4b 05 06
 *     4   u64  44, bytes behind     4   u32  disk                4   u16  disk
 *     12  u16  made by              8   u64  offset of the       6   u16  disk of the directory
 *     14  u16  version needed                ZIP64 end record    8   u16  entries on this disk
 *     16  u32  disk                 16  u32  disks               10  u16  entries
 *     20  u32  disk of directory                                 12  u32  directory: bytes
 *     24  u64  entries on this disk                              16  u32  directory: offset
 *     32  u64  entries                                           20  u16  comment length
 *     40  u64  directory: bytes                                  22  comment
 *     48  u64  directory: offset
 */
export interface DirectoryPlace {
  readonly entryCount: number;
  readonly directoryBytes: number;
  readonly directoryOffset: number;
}

export const END_SIGNATURE = 0x06054b50;
export const ZIP64_END_SIGNATURE = 0x06064b50;
export const ZIP64_LOCATOR_SIGNATURE = 0x07064b50;
export const END_BYTES = 22;
export const ZIP64_END_BYTES = 56;
export const ZIP64_LOCATOR_BYTES = 20;

/** What the ZIP64 records need of a reader. */
const VERSION_ZIP64 = 45;

/**
 * Reads the end record, whose comment is not looked at.
 * @throws OrbweaverError `ZIP_INVALID` when the archive has several disks
 */
export function readEndRecord(archive: string, bytes: Uint8Array): DirectoryPlace {
  const view = viewOf(bytes);
  const entryCount = view.getUint16(10, true);
  const disks = view.getUint16(4, true) + view.getUint16(6, true);
  if (disks !== 0 || view.getUint16(8, true) !== entryCount) {
    throw unsupported(archive, archive, 'disks');
  }
  return {
    entryCount,
    directoryBytes: view.getUint32(12, true),
    directoryOffset: view.getUint32(16, true),
  };
}

/** Where the locator says that the ZIP64 end record is. @throws OrbweaverError `ZIP_INVALID` */
export function readLocator(archive: string, bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const signature = view.getUint32(0, true);
  if (signature !== ZIP64_LOCATOR_SIGNATURE) {
    throw zipInvalid(archive, 'a ZIP64 locator', signature.toString(16));
  }
  if (view.getUint32(4, true) !== 0 || view.getUint32(16, true) > 1) {
    throw unsupported(archive, archive, 'disks');
  }
  return readU64(archive, view, 8, 'the offset of the ZIP64 end record');
}

/**
 * Reads the ZIP64 end record; one with data of its own behind (version 2, encryption) is refused.
 * @throws OrbweaverError `ZIP_INVALID`
 */
export function readZip64End(archive: string, bytes: Uint8Array): DirectoryPlace {
  const view = viewOf(bytes);
  const signature = view.getUint32(0, true);
  if (signature !== ZIP64_END_SIGNATURE) {
    throw zipInvalid(archive, 'a ZIP64 end record', signature.toString(16));
  }
  const recordBytes = readU64(archive, view, 4, 'the length of the ZIP64 end record');
  if (recordBytes !== ZIP64_END_BYTES - 12) {
    throw zipInvalid(archive, `${ZIP64_END_BYTES - 12} bytes of ZIP64 end record`, recordBytes);
  }
  const entryCount = readU64(archive, view, 32, 'the count of entries');
  const disks = view.getUint32(16, true) + view.getUint32(20, true);
  if (disks !== 0 || readU64(archive, view, 24, 'the count of entries') !== entryCount) {
    throw unsupported(archive, archive, 'disks');
  }
  return {
    entryCount,
    directoryBytes: readU64(archive, view, 40, 'the length of the directory'),
    directoryOffset: readU64(archive, view, 48, 'the offset of the directory'),
  };
}

/**
 * The end record may only say what the ZIP64 one says, or "see there": else two tools would see two
 * archives. @throws OrbweaverError `ZIP_INVALID`
 */
export function checkSamePlace(archive: string, end: DirectoryPlace, wide: DirectoryPlace): void {
  const same =
    (end.entryCount === MASK_16 || end.entryCount === wide.entryCount) &&
    (end.directoryBytes === MASK_32 || end.directoryBytes === wide.directoryBytes) &&
    (end.directoryOffset === MASK_32 || end.directoryOffset === wide.directoryOffset);
  if (!same) throw zipInvalid(archive, 'two end records that agree', 'others');
}

/** Bytes that {@link writeEnd} makes. */
export function endBytesOf({
  entryCount,
  directoryBytes,
  directoryOffset,
}: DirectoryPlace): number {
  const isWide = entryCount >= MASK_16 || directoryBytes >= MASK_32 || directoryOffset >= MASK_32;
  return END_BYTES + (isWide ? ZIP64_END_BYTES + ZIP64_LOCATOR_BYTES : 0);
}

/** Everything behind the directory: with ZIP64 records only when a value needs them. */
export function writeEnd(place: DirectoryPlace): Uint8Array {
  const { entryCount, directoryBytes, directoryOffset } = place;
  const wideBytes = endBytesOf(place) - END_BYTES;
  const isWide = wideBytes > 0;
  const bytes = new Uint8Array(wideBytes + END_BYTES);
  const view = viewOf(bytes);
  if (isWide) {
    view.setUint32(0, ZIP64_END_SIGNATURE, true);
    writeU64(view, 4, ZIP64_END_BYTES - 12);
    view.setUint16(12, VERSION_ZIP64, true);
    view.setUint16(14, VERSION_ZIP64, true);
    writeU64(view, 24, entryCount);
    writeU64(view, 32, entryCount);
    writeU64(view, 40, directoryBytes);
    writeU64(view, 48, directoryOffset);
    view.setUint32(ZIP64_END_BYTES, ZIP64_LOCATOR_SIGNATURE, true);
    writeU64(view, ZIP64_END_BYTES + 8, directoryOffset + directoryBytes);
    view.setUint32(ZIP64_END_BYTES + 16, 1, true);
  }
  view.setUint32(wideBytes, END_SIGNATURE, true);
  view.setUint16(wideBytes + 8, Math.min(entryCount, MASK_16), true);
  view.setUint16(wideBytes + 10, Math.min(entryCount, MASK_16), true);
  view.setUint32(wideBytes + 12, Math.min(directoryBytes, MASK_32), true);
  view.setUint32(wideBytes + 16, Math.min(directoryOffset, MASK_32), true);
  return bytes;
}
