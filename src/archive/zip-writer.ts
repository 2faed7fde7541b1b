import { Zip, ZipDeflate } from 'fflate';
import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { EntryNames } from './entry-name.js';
import { ZIP_MAX_BYTES, ZIP_MAX_ENTRIES } from './limits.js';
import { StoredEntry } from './stored-entry.js';
import { zipTooLarge } from './zip-error.js';

export interface ZipWriterOptions {
  /** Takes the archive's bytes in order; they may be reused when the promise resolves. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Name in messages. @default 'archive.zip' */
  readonly name?: string | undefined;
  /**
   * `store` keeps the bytes as they are, `deflate` compresses them (about 50 MB/s on one core).
   * @default 'store'
   */
  readonly compression?: 'store' | 'deflate' | undefined;
  /**
   * Date of every entry, local time from 1980 to 2099.
   * @default 1980-01-01, so that equal files make equal archives
   */
  readonly modifiedAt?: Date | undefined;
  /**
   * Most bytes of the archive, up to what can be written without ZIP64.
   * @default 4294967294
   */
  readonly maxBytes?: number | undefined;
}

export interface ZipSummary {
  /** Bytes of the whole archive. */
  readonly sizeBytes: number;
  readonly entryCount: number;
}

/** Writes one archive. Entries come one after another: open the next when the last is committed. */
export interface ZipWriter {
  /**
   * A sink for the bytes of one file: in order, its `commit` closes the entry. When its `abort` is
   * called the whole archive is unusable, because what was written cannot be taken back.
   *
   * @throws OrbweaverError `UNSAFE_PATH` for a name that is unsafe or taken (case aside);
   * `ZIP_TOO_LARGE` here, from `prepare` or from `write`, before the byte that would need ZIP64
   */
  entry(name: string): Sink;
  /** Writes the directory. @throws OrbweaverError `CLOSED` after a failure or an open entry */
  finish(): Promise<ZipSummary>;
}

/** CRC-32 and sizes behind an entry's data. */
const DESCRIPTOR_BYTES = 16;

/** Directory record and data descriptor of an entry, without its name. */
const ENTRY_TAIL_BYTES: number = 46 + DESCRIPTOR_BYTES;

/** Local header without the name. */
const LOCAL_HEADER_BYTES = 30;

/** End of the directory. */
const END_BYTES = 22;

/** A stored byte costs at most this much more: 5 bytes for each block begun, and the last block. */
const framingBytes = (sizeBytes: number): number => 5 * Math.ceil(sizeBytes / 0xffff) + 5;

/** Bytes are given to fflate in pieces of this size (four stored blocks): its output stays small. */
const STEP_BYTES: number = 4 * 0xffff;

/**
 * Streams files into a ZIP without ZIP64: below 4 GiB and 65,535 entries, refused before it would
 * be exceeded. Sizes and CRC-32 follow each entry's data (data descriptor).
 *
 * @example
 * const zip = createZipWriter({ write: (bytes) => out.write(bytes, (at += bytes.length) - bytes.length) });
 * const sink = zip.entry('a.bin');
 * await sink.write(bytes, 0);
 * await sink.commit(bytes.length);
 * await zip.finish();
 */
export function createZipWriter(options: ZipWriterOptions): ZipWriter {
  const { name: archive = 'archive.zip', compression = 'store' } = options;
  const maxBytes = Math.min(options.maxBytes ?? ZIP_MAX_BYTES, ZIP_MAX_BYTES);
  // Local time: what fflate writes into the header, and so the same bytes in every time zone.
  const mtime = options.modifiedAt ?? new Date(1980, 0, 1);
  const names = new EntryNames();
  const pending: Uint8Array[] = [];
  let writtenBytes = 0;
  let entryCount = 0;
  /** What the directory will take. */
  let directoryBytes = END_BYTES;
  let openEntry: string | undefined;
  let broken: unknown;

  const zip = new Zip((error, bytes) => {
    if (error !== null) broken ??= error;
    else if (bytes.length > 0) pending.push(bytes);
  });
  const assertUsable = (): void => {
    if (broken === undefined) return;
    throw new OrbweaverError('CLOSED', `"${archive}" is unusable after a failure`, {}, broken);
  };
  const checkRoom = (moreBytes: number): void => {
    const total = writtenBytes + moreBytes + directoryBytes;
    if (total > maxBytes) throw zipTooLarge(archive, 'bytes', maxBytes, total);
  };
  /** Brings what fflate has made to the output, checked against the limit first. */
  const flush = async (): Promise<void> => {
    try {
      assertUsable();
      const bytes = joined(pending.splice(0));
      checkRoom(bytes.length);
      await options.write(bytes);
      writtenBytes += bytes.length;
    } catch (error) {
      broken ??= error;
      throw error;
    }
  };

  const open = (name: string): StoredEntry | ZipDeflate => {
    assertUsable();
    if (openEntry !== undefined) {
      throw new OrbweaverError('CLOSED', `"${archive}" expected "${openEntry}" to be committed`);
    }
    if (entryCount + 1 > ZIP_MAX_ENTRIES) {
      throw zipTooLarge(archive, 'entries', ZIP_MAX_ENTRIES, entryCount + 1);
    }
    const nameBytes = new TextEncoder().encode(name).length;
    checkRoom(LOCAL_HEADER_BYTES + ENTRY_TAIL_BYTES + 2 * nameBytes + framingBytes(0));
    names.add(name);
    entryCount++;
    directoryBytes += ENTRY_TAIL_BYTES + nameBytes;
    openEntry = name;
    const entry =
      compression === 'deflate' ? new ZipDeflate(name, { level: 6 }) : new StoredEntry(name);
    entry.mtime = mtime;
    zip.add(entry);
    return entry;
  };

  return {
    entry(name) {
      const entry = open(name);
      let done = false;
      const assertOpen = (): void => {
        assertUsable();
        if (done) throw new OrbweaverError('CLOSED', `"${name}" is complete`);
      };
      return {
        name,
        positional: false,
        async prepare(sizeBytes) {
          assertOpen();
          const left = sizeBytes - entry.size;
          if (compression === 'store') checkRoom(left + framingBytes(left));
          if (sizeBytes > ZIP_MAX_BYTES) {
            throw zipTooLarge(name, 'bytes', ZIP_MAX_BYTES, sizeBytes);
          }
        },
        async write(bytes, offset) {
          assertOpen();
          if (offset !== entry.size) {
            throw new RangeError(`"offset" expected ${entry.size} (in order), got ${offset}`);
          }
          const end = offset + bytes.length;
          if (end > ZIP_MAX_BYTES) throw zipTooLarge(name, 'bytes', ZIP_MAX_BYTES, end);
          if (compression === 'store') checkRoom(bytes.length + framingBytes(bytes.length));
          for (let at = 0; at < bytes.length; at += STEP_BYTES) {
            entry.push(bytes.subarray(at, at + STEP_BYTES), false);
            await flush();
          }
        },
        async commit(sizeBytes) {
          assertOpen();
          if (sizeBytes !== entry.size) {
            broken ??= new Error('entry with a wrong size');
            const message = `"${name}" expected ${sizeBytes} bytes, got ${entry.size}`;
            throw new OrbweaverError('SIZE_MISMATCH', message, { expected: sizeBytes });
          }
          entry.push(new Uint8Array(0), true);
          // The descriptor is written now; the directory record is still to come.
          directoryBytes -= DESCRIPTOR_BYTES;
          await flush();
          done = true;
          openEntry = undefined;
        },
        async abort() {
          if (!done) broken ??= new Error(`entry "${name}" was given up`);
        },
      };
    },
    async finish() {
      assertUsable();
      if (openEntry !== undefined) {
        throw new OrbweaverError('CLOSED', `"${archive}" expected "${openEntry}" to be committed`);
      }
      directoryBytes = 0;
      zip.end();
      await flush();
      broken = new Error('finished');
      return { sizeBytes: writtenBytes, entryCount };
    },
  };
}

/** Block headers of 5 bytes are not worth a write of their own. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
