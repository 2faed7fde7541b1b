/**
 * A `.7z` archive of one file in store mode (method Copy), as two frames around its bytes:
 *
 *     0        6    8      12        20        28        32                32 + size
 *     +--------+----+------+---------+---------+---------+-----------------+------------+
 *     | magic  | 0.4| CRC  | offset  | length  | CRC of  | the file's bytes| end header |
 *     |        |    | of → | of the end header,| the end |                 |            |
 *     |        |    |      | after byte 32     | header  |                 |            |
 *     +--------+----+------+---------+---------+---------+-----------------+------------+
 *
 * Cut anywhere, its slices are volumes: 7-Zip opens `.001` and reads on in `.002`.
 * Source: 7zFormat.txt of the LZMA SDK.
 */

/** Bytes before and after the file's own. */
export interface SevenZipFrames {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Length of {@link SevenZipFrames.start}, bytes. */
export const SEVEN_ZIP_START_BYTES = 32;

const MAGIC = [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4];

/** CRC-32 of some bytes (IEEE), going on from `start`. */
export type Crc32 = (bytes: Uint8Array, start?: number) => number;

/** What the archive says about its only file. */
export interface StoredEntry {
  readonly name: string;
  readonly sizeBytes: number;
  readonly crc: number;
}

export function sevenZipFrames(entry: StoredEntry, crc32: Crc32): SevenZipFrames {
  const size = number7z(entry.sizeBytes);
  const crc = uint32(entry.crc);
  const name = [...entry.name].flatMap((letter) => utf16(letter));
  const names = [0, ...name, 0, 0];
  const packInfo = [0x06, ...number7z(0), 1, 0x09, ...size, 0];
  const coders = [0x07, 0x0b, 1, 0, 1, 1, 0, 0x0c, ...size, 0x0a, 1, ...crc, 0];
  const files = [0x05, 1, 0x11, ...number7z(names.length), ...names, 0];
  const empty = entry.sizeBytes === 0;
  const emptyFiles = [
    ...[0x05, 1, 0x0e, 1, 0x80, 0x0f, 1, 0x80],
    ...[0x11, ...number7z(names.length), ...names, 0],
  ];
  const header = empty
    ? [0x01, ...emptyFiles, 0]
    : [0x01, 0x04, ...packInfo, ...coders, 0, ...files, 0];
  const end = Uint8Array.from(header);
  const start = new Uint8Array(SEVEN_ZIP_START_BYTES);
  start.set(MAGIC);
  const view = new DataView(start.buffer);
  view.setBigUint64(12, BigInt(entry.sizeBytes), true);
  view.setBigUint64(20, BigInt(end.length), true);
  view.setUint32(28, crc32(end), true);
  view.setUint32(8, crc32(start.subarray(12)), true);
  return { start, end };
}

function utf16(letter: string): number[] {
  return [...Array(letter.length).keys()].flatMap((at) => {
    const unit = letter.charCodeAt(at);
    return [unit & 0xff, unit >> 8];
  });
}

function uint32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** The format's own numbers: the ones at the top of the first byte say how many bytes follow. */
export function number7z(value: number): number[] {
  let mask = 0x80;
  let first = 0;
  let rest = value;
  const bytes: number[] = [];
  for (let count = 0; count < 8; count++) {
    if (rest < 2 ** (7 - count)) {
      first |= rest;
      break;
    }
    bytes.push(rest % 256);
    rest = Math.floor(rest / 256);
    first |= mask;
    mask >>= 1;
  }
  return [first, ...bytes];
}
