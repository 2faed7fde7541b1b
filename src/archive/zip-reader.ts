import type { RandomAccess, Source } from '../client/ports.js';
import {
  checkSamePlace,
  type DirectoryPlace,
  END_BYTES,
  END_SIGNATURE,
  readEndRecord,
  readLocator,
  readZip64End,
  ZIP64_END_BYTES,
  ZIP64_LOCATOR_BYTES,
  ZIP64_LOCATOR_SIGNATURE,
} from './end-record.js';
import { EntryNames } from './entry-name.js';
import {
  type DirectoryRecord,
  LOCAL_HEADER_BYTES,
  localTailBytes,
  METHOD_STORED,
  readDirectoryRecord,
  readLocalHeader,
  viewOf,
} from './entry-record.js';
import { couldInflateTo, DEFAULT_ZIP_LIMITS, type ZipLimits } from './limits.js';
import { checkLimit } from './read-helpers.js';
import { openDeflated, openStored } from './seekable-entry.js';
import { zipInvalid } from './zip-error.js';

/** A file in an archive. It can be opened as long as the archive's `RandomAccess` is open. */
export interface ZipEntry extends Source {
  readonly sizeBytes: number;
  readonly compressedBytes: number;
  readonly crc32: number;
}

/** Longest comment behind the end record. */
const MAX_COMMENT_BYTES = 0xffff;

/**
 * Lists the files of a ZIP by its central directory (folders are left out). Everything that can be
 * checked without reading data is checked here: names, limits, sizes that deflate cannot reach, and
 * entries that share data. An entry's size and CRC-32 are checked at its end while it is read.
 *
 * @throws OrbweaverError `ZIP_INVALID` for a damaged archive and for encryption, several disks,
 * links, methods other than stored and deflate (`fields.feature` names it); `UNSAFE_PATH` for
 * a name that is unsafe on any platform or given twice; `LIMIT_EXCEEDED`
 * @example
 * const access = await openRandomAccess('release.zip');
 * for (const entry of await readZipEntries(access)) await session.add(entry);
 * await access.close();
 */
export async function readZipEntries(
  access: RandomAccess,
  limits: Partial<ZipLimits> = {},
): Promise<ZipEntry[]> {
  const allowed = { ...DEFAULT_ZIP_LIMITS, ...limits };
  const { name: archive } = access;
  const { directoryOffset, records } = await readDirectory(access, allowed);
  const names = new EntryNames();
  let totalBytes = 0;
  for (const record of records) {
    names.add(record.name);
    totalBytes += record.sizeBytes;
    checkLimit(archive, 'bytes of an entry', allowed.maxEntryBytes, record.sizeBytes);
    checkLimit(archive, 'bytes of all entries', allowed.maxTotalBytes, totalBytes);
    const reachable =
      record.method === METHOD_STORED
        ? record.sizeBytes === record.compressedBytes
        : couldInflateTo(record.compressedBytes, record.sizeBytes);
    if (!reachable) {
      const { sizeBytes, compressedBytes, name: entry } = record;
      const expected = `a size of "${entry}" that ${compressedBytes} bytes can hold`;
      throw zipInvalid(archive, expected, sizeBytes, { entry });
    }
  }
  const ends = checkLayout(archive, records, directoryOffset);
  return records
    .filter((record) => !record.name.endsWith('/'))
    .map((record) => entryOf(access, record, ends.get(record) ?? directoryOffset));
}

async function readDirectory(
  access: RandomAccess,
  limits: ZipLimits,
): Promise<{ readonly directoryOffset: number; readonly records: DirectoryRecord[] }> {
  const { name: archive } = access;
  const place = await findDirectory(access);
  const { entryCount: count, directoryBytes, directoryOffset } = place;
  checkLimit(archive, 'entries', limits.maxEntries, count);
  checkLimit(archive, 'bytes of the directory', limits.maxDirectoryBytes, directoryBytes);

  const directory = new Uint8Array(directoryBytes);
  await access.readAt(directory, directoryOffset);
  const records: DirectoryRecord[] = [];
  let position = 0;
  for (let i = 0; i < count; i++) {
    const record = readDirectoryRecord(archive, directory, position);
    records.push(record);
    position += record.recordBytes;
  }
  if (position !== directoryBytes) {
    throw zipInvalid(
      archive,
      `${count} directory records`,
      `${directoryBytes - position} bytes more`,
    );
  }
  return { directoryOffset, records };
}

/**
 * Reads the end record, or the ZIP64 one that it refers to. The records touch each other and the
 * directory: what lay between or in front would be read differently by different tools.
 */
async function findDirectory(access: RandomAccess): Promise<DirectoryPlace> {
  const { name: archive, sizeBytes } = access;
  const most = ZIP64_LOCATOR_BYTES + END_BYTES + MAX_COMMENT_BYTES;
  const tail = new Uint8Array(Math.min(sizeBytes, most));
  await access.readAt(tail, sizeBytes - tail.length);
  const at = findEnd(tail);
  if (at < 0) throw zipInvalid(archive, 'an end record at its end', 'none');
  const end = readEndRecord(archive, tail.subarray(at));
  const endOffset = sizeBytes - tail.length + at;
  const locatorAt = at - ZIP64_LOCATOR_BYTES;
  const hasLocator =
    locatorAt >= 0 && viewOf(tail).getUint32(locatorAt, true) === ZIP64_LOCATOR_SIGNATURE;
  if (!hasLocator) {
    checkEnd(archive, end, endOffset);
    return end;
  }
  const wideOffset = readLocator(archive, tail.subarray(locatorAt));
  const expected = endOffset - ZIP64_LOCATOR_BYTES - ZIP64_END_BYTES;
  if (wideOffset !== expected || expected < 0) {
    throw zipInvalid(archive, `a ZIP64 end record at ${expected}`, wideOffset);
  }
  const wideBytes = new Uint8Array(ZIP64_END_BYTES);
  await access.readAt(wideBytes, wideOffset);
  const wide = readZip64End(archive, wideBytes);
  checkSamePlace(archive, end, wide);
  checkEnd(archive, wide, wideOffset);
  return wide;
}

function checkEnd(archive: string, place: DirectoryPlace, endOffset: number): void {
  const end = place.directoryOffset + place.directoryBytes;
  if (end === endOffset) return;
  throw zipInvalid(archive, `a directory that ends at ${endOffset}`, `one that ends at ${end}`);
}

/** The end record is where its comment reaches exactly to the end of the archive. */
function findEnd(tail: Uint8Array): number {
  const view = viewOf(tail);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (view.getUint32(at, true) !== END_SIGNATURE) continue;
    if (at + END_BYTES + view.getUint16(at + 20, true) === tail.length) return at;
  }
  return -1;
}

/**
 * Entries may not share bytes: that is how a small archive becomes a large one. Returns where the
 * data of each entry must have ended.
 */
function checkLayout(
  archive: string,
  records: readonly DirectoryRecord[],
  directoryOffset: number,
): Map<DirectoryRecord, number> {
  const sorted = [...records].sort((a, b) => a.headerOffset - b.headerOffset);
  const ends = new Map<DirectoryRecord, number>();
  for (const [i, record] of sorted.entries()) {
    const end = sorted[i + 1]?.headerOffset ?? directoryOffset;
    const least =
      record.headerOffset + LOCAL_HEADER_BYTES + record.nameBytes.length + record.compressedBytes;
    if (least > end) {
      const entry = record.name;
      throw zipInvalid(archive, `"${entry}" to end by ${end}`, least, { entry });
    }
    ends.set(record, end);
  }
  return ends;
}

function entryOf(access: RandomAccess, record: DirectoryRecord, end: number): ZipEntry {
  return {
    name: record.name,
    sizeBytes: record.sizeBytes,
    compressedBytes: record.compressedBytes,
    crc32: record.crc32,
    reopenable: true,
    async open(signal) {
      const start = await findData(access, record, end);
      return record.method === METHOD_STORED
        ? openStored(access, record, start, signal)
        : openDeflated(access, record, start, signal);
    },
  };
}

/** Where an entry's data starts; the local header must agree with the directory. */
async function findData(
  access: RandomAccess,
  record: DirectoryRecord,
  end: number,
): Promise<number> {
  const { name: archive } = access;
  const fixed = new Uint8Array(LOCAL_HEADER_BYTES);
  await access.readAt(fixed, record.headerOffset);
  const bytes = new Uint8Array(LOCAL_HEADER_BYTES + localTailBytes(fixed));
  const dataStart = record.headerOffset + bytes.length;
  const entry = record.name;
  if (dataStart + record.compressedBytes > end) {
    throw zipInvalid(archive, `"${entry}" to end by ${end}`, dataStart + record.compressedBytes, {
      entry,
    });
  }
  await access.readAt(bytes, record.headerOffset);
  const local = readLocalHeader(archive, bytes);
  const same =
    local.method === record.method &&
    local.nameBytes.length === record.nameBytes.length &&
    local.nameBytes.every((byte, i) => byte === record.nameBytes[i]) &&
    (local.hasDescriptor ||
      (local.crc32 === record.crc32 &&
        local.sizeBytes === record.sizeBytes &&
        local.compressedBytes === record.compressedBytes));
  if (!same) {
    throw zipInvalid(archive, `a local header of "${entry}" as in the directory`, 'another', {
      entry,
    });
  }
  return dataStart;
}
