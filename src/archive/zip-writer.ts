import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { CrcCounter } from './crc.js';
import { type DirectoryPlace, endBytesOf, writeEnd } from './end-record.js';
import {
  concat,
  createDeflatingEncoder,
  createStoringEncoder,
  ENCODE_STEP_BYTES,
  type EntryEncoder,
  framingBytes,
} from './entry-data.js';
import { EntryNames } from './entry-name.js';
import {
  dosTimeOf,
  type EntryToWrite,
  localHeaderBytes,
  trailingBytes,
  writeDescriptor,
  writeDirectoryRecord,
  writeLocalHeader,
} from './entry-writer.js';
import { zipTooLarge } from './zip-error.js';
import { MASK_32 } from './zip64.js';

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
   * Most bytes of the archive.
   * @default 9007199254740991 (no limit but that of numbers)
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
   * `ZIP_TOO_LARGE` here, from `prepare` or from `write`, before the byte that would pass `maxBytes`
   */
  entry(name: string): Sink;
  /** Writes the directory. @throws OrbweaverError `CLOSED` after a failure or an open entry */
  finish(): Promise<ZipSummary>;
}

/**
 * Streams files into a ZIP of any size: ZIP64 records are written where something does not fit into
 * 32 bits, or more than 65,534 entries are there, and nowhere else. CRC-32 and sizes follow each
 * entry's data. Tell the size of an entry of 4 GiB or more with `prepare`: then its header announces
 * sizes of 64 bits, which readers of streams need.
 *
 * @example
 * const zip = createZipWriter({ write: (bytes) => out.write(bytes, (at += bytes.length) - bytes.length) });
 * const sink = zip.entry('a.bin');
 * await sink.write(bytes, 0);
 * await sink.commit(bytes.length);
 * await zip.finish();
 */
export function zipWriter(
  options: ZipWriterOptions,
  createCrcCounter: () => CrcCounter,
): ZipWriter {
  const { name: archive = 'archive.zip', compression = 'store' } = options;
  const maxBytes = options.maxBytes ?? Number.MAX_SAFE_INTEGER;
  // Local time, which is what a ZIP has: and so the same bytes in every time zone.
  const dosTime = dosTimeOf(options.modifiedAt ?? new Date(1980, 0, 1));
  const storing = compression === 'store' ? createStoringEncoder() : null;
  const names = new EntryNames();
  const records: Uint8Array[] = [];
  let recordBytes = 0;
  let writtenBytes = 0;
  let openName: string | undefined;
  let broken: unknown;

  const assertUsable = (): void => {
    if (broken === undefined) return;
    throw new OrbweaverError('CLOSED', `"${archive}" is unusable after a failure`, {}, broken);
  };
  const assertNoneOpen = (): void => {
    if (openName === undefined) return;
    throw new OrbweaverError('CLOSED', `"${archive}" expected "${openName}" to be committed`);
  };
  const placeAt = (directoryOffset: number): DirectoryPlace => ({
    entryCount: records.length,
    directoryBytes: recordBytes,
    directoryOffset,
  });
  /** `moreBytes` and the directory after them must stay within the limit. */
  const checkFits = (moreBytes: number): void => {
    const directoryOffset = writtenBytes + moreBytes;
    const total = directoryOffset + recordBytes + endBytesOf(placeAt(directoryOffset));
    if (total > maxBytes) throw zipTooLarge(archive, maxBytes, total);
  };
  const put = async (bytes: Uint8Array): Promise<void> => {
    try {
      assertUsable();
      await options.write(bytes);
      writtenBytes += bytes.length;
    } catch (error) {
      broken ??= error;
      throw error;
    }
  };

  return {
    entry(name) {
      assertUsable();
      assertNoneOpen();
      const nameBytes = new TextEncoder().encode(name);
      const facts = { nameBytes, dosTime, isWide: false };
      checkFits(localHeaderBytes(facts) + framingBytes(0) + trailingBytes(facts));
      names.add(name);
      openName = name;
      return createEntrySink({
        name,
        storing,
        crc: createCrcCounter(),
        facts: { nameBytes, dosTime },
        assertUsable,
        checkFits,
        put,
        position: () => writtenBytes,
        spoil: (reason) => {
          broken ??= reason;
        },
        committed: (record) => {
          records.push(record);
          recordBytes += record.length;
          openName = undefined;
        },
      });
    },
    async finish() {
      assertUsable();
      assertNoneOpen();
      const end = writeEnd(placeAt(writtenBytes));
      for (let at = 0; at < records.length; at += RECORDS_PER_WRITE) {
        await put(concat(records.slice(at, at + RECORDS_PER_WRITE)));
      }
      await put(end);
      broken = new Error('finished');
      return { sizeBytes: writtenBytes, entryCount: records.length };
    },
  };
}

/** Directory records that are written together. */
const RECORDS_PER_WRITE = 4096;

/** What one entry needs of its archive. */
interface EntryHost {
  readonly name: string;
  /** Null: entries are compressed. */
  readonly storing: EntryEncoder | null;
  readonly crc: CrcCounter;
  readonly facts: Omit<EntryToWrite, 'isWide'>;
  readonly assertUsable: () => void;
  /** @throws OrbweaverError `ZIP_TOO_LARGE` */
  readonly checkFits: (moreBytes: number) => void;
  readonly put: (bytes: Uint8Array) => Promise<void>;
  /** Bytes of the archive written so far. */
  readonly position: () => number;
  /** The archive cannot be finished any more. */
  readonly spoil: (reason: unknown) => void;
  readonly committed: (directoryRecord: Uint8Array) => void;
}

function createEntrySink(host: EntryHost): Sink {
  const { name, storing, crc } = host;
  const isStored = storing !== null;
  const encoder = storing ?? createDeflatingEncoder();
  /** The header waits for the first byte: `prepare` may still say that sizes are wide. */
  let start: { readonly headerOffset: number; readonly dataOffset: number } | undefined;
  let isWide = false;
  let done = false;

  const assertOpen = (): void => {
    host.assertUsable();
    if (done) throw new OrbweaverError('CLOSED', `"${name}" is complete`);
  };
  /** What is still to come of this entry when so many bytes of data follow. */
  const checkData = (moreBytes: number): void => {
    const dataBytes = encoder.heldBytes + moreBytes;
    const framed = isStored ? dataBytes + framingBytes(dataBytes) : dataBytes;
    const facts = { ...host.facts, isWide };
    const header = start === undefined ? localHeaderBytes(facts) : 0;
    host.checkFits(header + framed + trailingBytes(facts));
  };
  /** How well data compresses is known only now: too late to go on without it. */
  const checkEncoded = (encoded: Uint8Array): void => {
    try {
      checkData(encoded.length);
    } catch (error) {
      host.spoil(error);
      throw error;
    }
  };
  const begin = async (): Promise<{
    readonly headerOffset: number;
    readonly dataOffset: number;
  }> => {
    if (start !== undefined) return start;
    const headerOffset = host.position();
    await host.put(writeLocalHeader({ ...host.facts, isWide }));
    start = { headerOffset, dataOffset: host.position() };
    return start;
  };
  return {
    name,
    positional: false,
    async prepare(sizeBytes) {
      assertOpen();
      if (start === undefined) isWide = sizeBytes + framingBytes(sizeBytes) >= MASK_32;
      if (isStored) checkData(sizeBytes - crc.sizeBytes);
    },
    async write(bytes, offset) {
      assertOpen();
      if (offset !== crc.sizeBytes) {
        throw new RangeError(`"offset" expected ${crc.sizeBytes} (in order), got ${offset}`);
      }
      if (isStored) checkData(bytes.length);
      await begin();
      for (let at = 0; at < bytes.length; at += ENCODE_STEP_BYTES) {
        const step = bytes.subarray(at, at + ENCODE_STEP_BYTES);
        crc.update(step);
        const encoded = encoder.push(step);
        if (!isStored) checkEncoded(encoded);
        if (encoded.length > 0) await host.put(encoded);
      }
    },
    async commit(sizeBytes) {
      assertOpen();
      if (sizeBytes !== crc.sizeBytes) {
        host.spoil(new Error('entry with a wrong size'));
        const message = `"${name}" expected ${sizeBytes} bytes, got ${crc.sizeBytes}`;
        throw new OrbweaverError('SIZE_MISMATCH', message, { expected: sizeBytes });
      }
      const { headerOffset, dataOffset } = await begin();
      const last = encoder.finish();
      if (!isStored) checkEncoded(last);
      await host.put(last);
      const entry = {
        ...host.facts,
        isWide,
        crc32: crc.finish(),
        sizeBytes,
        compressedBytes: host.position() - dataOffset,
        headerOffset,
      };
      await host.put(writeDescriptor(entry));
      done = true;
      host.committed(writeDirectoryRecord(entry));
    },
    async abort() {
      if (!done) host.spoil(new Error(`entry "${name}" was given up`));
    },
  };
}
