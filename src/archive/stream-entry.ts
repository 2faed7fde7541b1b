import type { ByteQueue } from './byte-queue.js';
import { createEntryCheck, type EntryCheck } from './entry-check.js';
import { DESCRIPTOR_SIGNATURE, type LocalHeader, METHOD_STORED, viewOf } from './entry-record.js';
import { needsWideDescriptor } from './entry-writer.js';
import { createInflater, INFLATE_STEP_BYTES } from './inflater.js';
import { checkLimit, takeInto } from './read-helpers.js';
import { zipInvalid } from './zip-error.js';
import { readU64 } from './zip64.js';

/** What an entry turned out to be. */
export interface EntryEnd {
  readonly name: string;
  readonly sizeBytes: number;
  readonly crc32: number;
}

/** The bytes of one entry of a stream; 0 from `read` means that it was complete and right. */
export interface StreamEntryReader {
  read(into: Uint8Array): Promise<number>;
  /** Call after `read` gave 0. */
  end(): EntryEnd;
}

export function createStreamEntryReader(
  queue: ByteQueue,
  archive: string,
  header: LocalHeader,
  maxBytes: number,
): StreamEntryReader {
  const { name: entry, hasDescriptor } = header;
  if (!hasDescriptor) checkLimit(archive, 'bytes of an entry', maxBytes, header.sizeBytes);
  const check = createEntryCheck(archive, entry, hasDescriptor ? maxBytes : header.sizeBytes);
  const data =
    header.method === METHOD_STORED
      ? createStoredData(queue, archive, header)
      : createDeflatedData(queue, archive, header);
  const ready: Uint8Array[] = [];
  let promised: { readonly sizeBytes: number; readonly crc32: number } | undefined;

  const fill = async (): Promise<void> => {
    const pieces = await data.next();
    if (pieces === null) {
      promised = hasDescriptor
        ? await readDescriptor({ queue, archive, header, data, check })
        : header;
      check.finish(promised);
      return;
    }
    for (const piece of pieces) {
      check.update(piece);
      ready.push(piece);
    }
  };
  return {
    async read(into) {
      if (into.length === 0) return 0;
      while (ready.length === 0 && promised === undefined) await fill();
      return takeInto(into, ready);
    },
    end: () => ({
      name: entry,
      sizeBytes: check.sizeBytes,
      crc32: promised?.crc32 ?? 0,
    }),
  };
}

/** Where an entry's bytes come from. */
interface EntryData {
  /** The next pieces, or null at the end. */
  next(): Promise<readonly Uint8Array[] | null>;
  /** Compressed bytes taken from the stream. */
  readonly compressedBytes: number;
}

function createStoredData(queue: ByteQueue, archive: string, header: LocalHeader): EntryData {
  if (header.sizeBytes !== header.compressedBytes) {
    const expected = `${header.compressedBytes} bytes in "${header.name}"`;
    throw zipInvalid(archive, expected, header.sizeBytes, { entry: header.name });
  }
  let taken = 0;
  return {
    async next() {
      if (taken === header.sizeBytes) return null;
      const bytes = await queue.takeSome(header.sizeBytes - taken);
      if (bytes.length === 0) throw cutOff(archive, header.name);
      taken += bytes.length;
      return [bytes];
    },
    get compressedBytes() {
      return taken;
    },
  };
}

function createDeflatedData(queue: ByteQueue, archive: string, header: LocalHeader): EntryData {
  const { name: entry, hasDescriptor } = header;
  const inflater = createInflater(archive, entry);
  let taken = 0;
  return {
    async next() {
      if (inflater.ended) {
        if (hasDescriptor || taken === header.compressedBytes) return null;
        const expected = `${header.compressedBytes} compressed bytes of "${entry}"`;
        throw zipInvalid(archive, expected, taken, { entry });
      }
      const left = hasDescriptor ? INFLATE_STEP_BYTES : header.compressedBytes - taken;
      const bytes = await queue.takeSome(Math.min(INFLATE_STEP_BYTES, left));
      if (bytes.length === 0) throw cutOff(archive, entry);
      const pieces = inflater.push(bytes);
      // What lies behind the end belongs to the archive again.
      const unused = Math.min(inflater.unusedBytes, bytes.length);
      queue.giveBack(unused);
      taken += bytes.length - unused;
      return pieces;
    },
    get compressedBytes() {
      return taken;
    },
  };
}

interface DescriptorParts {
  readonly queue: ByteQueue;
  readonly archive: string;
  readonly header: LocalHeader;
  readonly data: EntryData;
  readonly check: EntryCheck;
}

/**
 * CRC-32 and both sizes behind the data: with 64 bits when the header has a ZIP64 field, or when the
 * entry outgrew 32 bits without having announced it (so do Go and the JDK). The signature in front is
 * optional by the format; that a CRC-32 without it equals the signature (once in four billion) ends
 * in an error, never in bytes.
 */
async function readDescriptor(
  parts: DescriptorParts,
): Promise<{ readonly sizeBytes: number; readonly crc32: number }> {
  const { queue, archive, header, data, check } = parts;
  const { name: entry, isWide } = header;
  const { compressedBytes } = data;
  const { sizeBytes } = check;
  const what = `the data descriptor of "${entry}"`;
  const sizesBytes = needsWideDescriptor({ isWide, compressedBytes, sizeBytes }) ? 16 : 8;
  let crc32 = viewOf(await queue.take(4, what)).getUint32(0, true);
  if (crc32 === DESCRIPTOR_SIGNATURE) {
    crc32 = viewOf(await queue.take(4, what)).getUint32(0, true);
  }
  const view = viewOf(await queue.take(sizesBytes, what));
  const read = (at: number): number =>
    sizesBytes === 16
      ? readU64(archive, view, at, `a size of "${entry}"`)
      : view.getUint32(at, true);
  const [compressed, size] = [read(0), read(sizesBytes / 2)];
  if (compressed !== compressedBytes || size !== sizeBytes) {
    const expected = `a data descriptor of ${compressedBytes} and ${sizeBytes} bytes`;
    const got = `${compressed} and ${size}`;
    throw zipInvalid(archive, `${expected} behind "${entry}"`, got, { entry });
  }
  return { sizeBytes, crc32 };
}

function cutOff(archive: string, entry: string): Error {
  return zipInvalid(archive, `all data of "${entry}"`, 'the end of the stream', { entry });
}
