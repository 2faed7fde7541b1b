import { crc32 } from 'node:zlib';
import { OrbweaverError } from '../errors.js';

/**
 * A 7z archive of one file that is stored as it is (method Copy), after 7-Zip's `7zFormat.txt`:
 *
 *     0    37 7a bc af 27 1c   signature
 *     6    00 04               version
 *     8    u32                 CRC-32 of bytes 12 to 31
 *     12   u64                 where the end header begins, counted from byte 32
 *     20   u64                 its length
 *     28   u32                 its CRC-32
 *     32   the file
 *     …    the end header: sizes, CRC-32 of the file, name in UTF-16
 *
 * No library writes this without a native program, and it is a page of code.
 */

/** Bytes before the file. They name the end, so they are written last. */
export const SEVEN_ZIP_HEAD_BYTES = 32;

const ID = {
  end: 0x00,
  header: 0x01,
  mainStreams: 0x04,
  files: 0x05,
  packInfo: 0x06,
  unpackInfo: 0x07,
  size: 0x09,
  crc: 0x0a,
  folder: 0x0b,
  unpackSize: 0x0c,
  emptyStream: 0x0e,
  emptyFile: 0x0f,
  names: 0x11,
} as const;

/** What is known when the file has been read. */
export interface StoredFileFacts {
  readonly name: string;
  readonly sizeBytes: number;
  readonly crc: number;
}

/**
 * What stands around the file.
 * @throws OrbweaverError `UNSAFE_PATH` for a name that cannot be one in an archive
 */
export function sevenZipFrame(facts: StoredFileFacts): {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
} {
  const tail = endHeader(facts);
  const head = new Uint8Array(SEVEN_ZIP_HEAD_BYTES);
  const view = new DataView(head.buffer);
  head.set([0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c, 0, 4]);
  view.setBigUint64(12, BigInt(facts.sizeBytes), true);
  view.setBigUint64(20, BigInt(tail.length), true);
  view.setUint32(28, crc32(tail), true);
  view.setUint32(8, crc32(head.subarray(12)), true);
  return { head, tail };
}

function endHeader({ name, sizeBytes, crc }: StoredFileFacts): Uint8Array {
  if (name === '' || /[/\\\0]/.test(name)) {
    throw new OrbweaverError('UNSAFE_PATH', `"name" expected the name of a file, got "${name}"`);
  }
  const bytes: number[] = [ID.header];
  if (sizeBytes > 0) {
    bytes.push(ID.mainStreams);
    bytes.push(
      ID.packInfo,
      ...numberOf(0),
      ...numberOf(1),
      ID.size,
      ...numberOf(sizeBytes),
      ID.end,
    );
    // One folder, not external, of one coder whose id is the one byte 0: Copy.
    bytes.push(ID.unpackInfo, ID.folder, ...numberOf(1), 0, 1, 1, 0);
    bytes.push(ID.unpackSize, ...numberOf(sizeBytes));
    bytes.push(ID.crc, 1, crc & 255, (crc >>> 8) & 255, (crc >>> 16) & 255, crc >>> 24, ID.end);
    bytes.push(ID.end);
  }
  bytes.push(ID.files, ...numberOf(1));
  // A bit each for the one file: it has no stream, and it is no folder.
  if (sizeBytes === 0) bytes.push(ID.emptyStream, 1, 0x80, ID.emptyFile, 1, 0x80);
  const text: number[] = [0];
  for (let i = 0; i <= name.length; i++) {
    const unit = i < name.length ? name.charCodeAt(i) : 0;
    text.push(unit & 255, unit >>> 8);
  }
  bytes.push(ID.names, ...numberOf(text.length), ...text, ID.end, ID.end);
  return Uint8Array.from(bytes);
}

/**
 * A number of 7z: as many leading ones in the first byte as bytes follow, little-endian, and what is
 * left of the first byte holds the highest bits.
 */
function numberOf(value: number): number[] {
  let rest = BigInt(value);
  const following: number[] = [];
  for (let count = 0; count < 8; count++) {
    if (rest < 1n << BigInt(7 - count)) {
      const ones = (0xff00 >> count) & 0xff;
      return [ones | Number(rest), ...following];
    }
    following.push(Number(rest & 255n));
    rest >>= 8n;
  }
  return [0xff, ...following];
}
