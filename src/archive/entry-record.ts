import { zipInvalid } from './zip-error.js';
import { findZip64Extra, type WideFields, widen } from './zip64.js';

/**
 * The records of a ZIP (APPNOTE 4.3): the central directory record that describes an entry, and the
 * local header in front of its data. Both hold the same facts; the directory is what counts.
 *
 *     local header                      directory record
 *     0   u32  50 4b 03 04              0   u32  50 4b 01 02
 *                                       4   u16  made by (system in the high byte)
 *     4   u16  version needed           6
 *     6   u16  flags                    8
 *     8   u16  method                   10
 *     10  u32  time, date               12
 *     14  u32  CRC-32                   16
 *     18  u32  compressed size          20
 *     22  u32  size                     24
 *     26  u16  name length              28
 *     28  u16  extra length             30
 *                                       32  u16  comment length
 *                                       34  u16  disk
 *                                       36  u16  internal attributes
 *                                       38  u32  external attributes
 *                                       42  u32  offset of the local header
 *     30  name, extra                   46  name, extra, comment
 *
 * Sizes, offset and disk that do not fit are all ones and stand in the extra field (zip64.ts).
 */
export interface EntryFacts {
  readonly name: string;
  /** The name as stored, to compare the two records. */
  readonly nameBytes: Uint8Array;
  /** 0 stored, 8 deflate. */
  readonly method: number;
  readonly flags: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
}

export interface DirectoryRecord extends EntryFacts {
  readonly headerOffset: number;
  /** Length of the whole record. */
  readonly recordBytes: number;
}

export interface LocalHeader extends EntryFacts {
  /** CRC-32 and sizes are zero here and follow the data. */
  readonly hasDescriptor: boolean;
  /** It has a ZIP64 field, so sizes that follow the data have 64 bits. */
  readonly isWide: boolean;
  /** Length of header, name and extra: the data follows. */
  readonly headerBytes: number;
}

export const LOCAL_SIGNATURE = 0x04034b50;
export const DIRECTORY_SIGNATURE = 0x02014b50;
export const DESCRIPTOR_SIGNATURE = 0x08074b50;
export const LOCAL_HEADER_BYTES = 30;
export const DIRECTORY_RECORD_BYTES = 46;

export const METHOD_STORED = 0;
export const METHOD_DEFLATE = 8;

const FLAG_ENCRYPTED = 1 << 0;
export const FLAG_DESCRIPTOR: number = 1 << 3;
const FLAG_PATCHED = 1 << 5;
const FLAG_STRONG_ENCRYPTION = 1 << 6;
export const FLAG_UTF8: number = 1 << 11;
const FLAG_MASKED_DIRECTORY = 1 << 13;

/** File type bits of Unix in the external attributes, and the two types that are plain entries. */
const UNIX_TYPE_MASK = 0o170000;
const UNIX_FILE = 0o100000;
const UNIX_FOLDER = 0o040000;

/** Bytes 0x80 to 0xff of code page 437, in which names are when the UTF-8 flag is not set. */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0';

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Reads the directory record at `offset`.
 * @throws OrbweaverError `ZIP_INVALID` when it is cut off or uses what is not supported
 */
export function readDirectoryRecord(
  archive: string,
  bytes: Uint8Array,
  offset: number,
): DirectoryRecord {
  const view = viewOf(bytes);
  const left = bytes.length - offset;
  if (left < DIRECTORY_RECORD_BYTES) {
    throw zipInvalid(archive, `${DIRECTORY_RECORD_BYTES} bytes of a directory record`, left);
  }
  const signature = view.getUint32(offset, true);
  if (signature !== DIRECTORY_SIGNATURE) {
    throw zipInvalid(archive, 'a directory record', signature.toString(16), { offset });
  }
  const nameLength = view.getUint16(offset + 28, true);
  const extraLength = view.getUint16(offset + 30, true);
  const commentLength = view.getUint16(offset + 32, true);
  const recordBytes = DIRECTORY_RECORD_BYTES + nameLength + extraLength + commentLength;
  if (left < recordBytes) {
    throw zipInvalid(archive, `${recordBytes} bytes of a directory record`, left);
  }
  const nameStart = offset + DIRECTORY_RECORD_BYTES;
  const flags = view.getUint16(offset + 8, true);
  const extraStart = nameStart + nameLength;
  const { wide, ...facts } = readFacts(archive, view, offset + 10, {
    flags,
    nameBytes: bytes.slice(nameStart, extraStart),
    extra: bytes.subarray(extraStart, extraStart + extraLength),
    headerOffset: view.getUint32(offset + 42, true),
    disk: view.getUint16(offset + 34, true),
  });
  const madeBy = view.getUint8(offset + 5);
  const unixType = (view.getUint32(offset + 38, true) >>> 16) & UNIX_TYPE_MASK;
  if (madeBy === 3 && unixType !== 0 && unixType !== UNIX_FILE && unixType !== UNIX_FOLDER) {
    throw zipInvalid(archive, `"${facts.name}" to be a file`, 'a link or special file', {
      entry: facts.name,
      feature: 'link',
    });
  }
  if (wide.disk !== 0) throw unsupported(archive, facts.name, 'disks');
  return { ...facts, headerOffset: wide.headerOffset, recordBytes };
}

/** Bytes of name and extra field that follow the fixed part of a local header. */
export function localTailBytes(fixed: Uint8Array): number {
  const view = viewOf(fixed);
  return view.getUint16(26, true) + view.getUint16(28, true);
}

/**
 * Reads a local header; `bytes` starts with it and holds all of it.
 * @throws OrbweaverError `ZIP_INVALID`
 */
export function readLocalHeader(archive: string, bytes: Uint8Array): LocalHeader {
  const view = viewOf(bytes);
  const signature = view.getUint32(0, true);
  if (signature !== LOCAL_SIGNATURE) {
    throw zipInvalid(archive, 'a local header', signature.toString(16));
  }
  const nameLength = view.getUint16(26, true);
  const nameEnd = LOCAL_HEADER_BYTES + nameLength;
  const headerBytes = LOCAL_HEADER_BYTES + localTailBytes(bytes);
  const flags = view.getUint16(6, true);
  const { wide, isWide, ...facts } = readFacts(archive, view, 8, {
    flags,
    nameBytes: bytes.slice(LOCAL_HEADER_BYTES, nameEnd),
    extra: bytes.subarray(nameEnd, headerBytes),
    headerOffset: 0,
    disk: 0,
  });
  return { ...facts, isWide, hasDescriptor: (flags & FLAG_DESCRIPTOR) !== 0, headerBytes };
}

/** What surrounds the fields that both records have in the same order. */
interface RecordParts {
  readonly flags: number;
  readonly nameBytes: Uint8Array;
  readonly extra: Uint8Array;
  readonly headerOffset: number;
  readonly disk: number;
}

/** The fields that both records have in the same order, from the method on. */
function readFacts(
  archive: string,
  view: DataView,
  at: number,
  { flags, nameBytes, extra, headerOffset, disk }: RecordParts,
): EntryFacts & { readonly wide: WideFields; readonly isWide: boolean } {
  const name = nameOf(archive, nameBytes, (flags & FLAG_UTF8) !== 0);
  const encrypted = FLAG_ENCRYPTED | FLAG_STRONG_ENCRYPTION | FLAG_MASKED_DIRECTORY;
  if ((flags & encrypted) !== 0) throw unsupported(archive, name, 'encryption');
  if ((flags & FLAG_PATCHED) !== 0) throw unsupported(archive, name, 'patch');
  const method = view.getUint16(at, true);
  if (method !== METHOD_STORED && method !== METHOD_DEFLATE) {
    throw unsupported(archive, name, `method ${method}`);
  }
  const wide: WideFields = {
    compressedBytes: view.getUint32(at + 10, true),
    sizeBytes: view.getUint32(at + 14, true),
    headerOffset,
    disk,
  };
  const zip64 = findZip64Extra(archive, name, extra);
  widen(archive, name, wide, zip64);
  const { sizeBytes, compressedBytes } = wide;
  const crc32 = view.getUint32(at + 6, true);
  const facts = { name, nameBytes, method, flags, crc32, compressedBytes, sizeBytes };
  return { ...facts, wide, isWide: zip64 !== null };
}

/**
 * Without the UTF-8 flag a name is in code page 437 by the letter of the format, but macOS and old
 * tools on Linux write UTF-8 without it; text of code page 437 is hardly ever valid UTF-8.
 */
function nameOf(archive: string, bytes: Uint8Array, isUtf8: boolean): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    if (isUtf8) throw zipInvalid(archive, 'a name in UTF-8', 'other bytes');
  }
  return Array.from(bytes, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : (CP437[byte - 0x80] as string),
  ).join('');
}

export function unsupported(archive: string, entry: string, feature: string): Error {
  return zipInvalid(archive, `"${entry}" without ${feature}`, 'it', { entry, feature });
}
