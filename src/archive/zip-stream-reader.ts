import type { Source, SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { throwIfAborted } from '../flow/index.js';
import { type ByteQueue, createByteQueue } from './byte-queue.js';
import {
  checkSamePlace,
  END_BYTES,
  END_SIGNATURE,
  readEndRecord,
  readLocator,
  readZip64End,
  ZIP64_END_BYTES,
  ZIP64_END_SIGNATURE,
  ZIP64_LOCATOR_BYTES,
} from './end-record.js';
import { EntryNames } from './entry-name.js';
import {
  DIRECTORY_RECORD_BYTES,
  DIRECTORY_SIGNATURE,
  LOCAL_HEADER_BYTES,
  LOCAL_SIGNATURE,
  type LocalHeader,
  localTailBytes,
  METHOD_STORED,
  readDirectoryRecord,
  readLocalHeader,
  unsupported,
  viewOf,
} from './entry-record.js';
import { DEFAULT_ZIP_LIMITS, type ZipLimits } from './limits.js';
import { checkLimit } from './read-helpers.js';
import { createStreamEntryReader, type EntryEnd } from './stream-entry.js';
import { zipInvalid } from './zip-error.js';

/**
 * A file in an archive that is read as a stream. It must be read before the next one is asked for;
 * what is not read is skipped (and checked all the same).
 */
export interface ZipStreamEntry extends Source {
  readonly reopenable: false;
}

/**
 * Reads the files of a ZIP from a stream that cannot seek, by the local headers. The end of an entry
 * without a size in front is found by inflating it. A stored one has no such end (a marker may well
 * be part of its data), so it is refused. At its end the stream must have the directory that
 * describes just these entries. Prefer `readZipEntries` when the archive is a file.
 *
 * @param reader borrowed: the caller closes it
 * @throws OrbweaverError as `readZipEntries`, and `ZIP_INVALID` with `fields.feature` of
 * `stored-descriptor`
 * @example
 * for await (const entry of readZipStream(await source.open(), 'upload.zip')) await session.add(entry);
 */
export async function* readZipStream(
  reader: SourceReader,
  archive = 'archive.zip',
  limits: Partial<ZipLimits> = {},
): AsyncGenerator<ZipStreamEntry, void, undefined> {
  const allowed = { ...DEFAULT_ZIP_LIMITS, ...limits };
  const queue = createByteQueue(reader, archive);
  const names = new EntryNames();
  const seen: EntryEnd[] = [];
  const scratch = new Uint8Array(1 << 16);
  let totalBytes = 0;
  for (;;) {
    const signature = viewOf(await queue.take(4, 'a header')).getUint32(0, true);
    if (signature !== LOCAL_SIGNATURE) {
      await readEnd(queue, archive, allowed, seen, signature);
      return;
    }
    const header = await readHeader(queue, archive);
    names.add(header.name);
    checkLimit(archive, 'entries', allowed.maxEntries, seen.length + 1);
    const room = Math.min(allowed.maxEntryBytes, allowed.maxTotalBytes - totalBytes);
    const entry = createEntry(queue, archive, header, room);
    if (!header.name.endsWith('/')) yield entry.source;
    const end = await entry.drain(scratch);
    totalBytes += end.sizeBytes;
    seen.push(end);
  }
}

async function readHeader(queue: ByteQueue, archive: string): Promise<LocalHeader> {
  const fixed = await takeRecord(queue, LOCAL_SIGNATURE, LOCAL_HEADER_BYTES, 'a local header');
  const tail = await queue.take(localTailBytes(fixed), 'a local header');
  const bytes = new Uint8Array(fixed.length + tail.length);
  bytes.set(fixed);
  bytes.set(tail, fixed.length);
  const header = readLocalHeader(archive, bytes);
  if (header.hasDescriptor && header.method === METHOD_STORED) {
    throw unsupported(archive, header.name, 'stored-descriptor');
  }
  return header;
}

function createEntry(
  queue: ByteQueue,
  archive: string,
  header: LocalHeader,
  maxBytes: number,
): { readonly source: ZipStreamEntry; drain(scratch: Uint8Array): Promise<EntryEnd> } {
  const { name } = header;
  let opened = false;
  let drained = false;
  let aborted: AbortSignal | undefined;
  const reader = createStreamEntryReader(queue, archive, header, maxBytes);
  const source: ZipStreamEntry = {
    name,
    ...(header.hasDescriptor ? {} : { sizeBytes: header.sizeBytes }),
    reopenable: false,
    async open(signal) {
      if (opened || drained) {
        const message = `"${name}" expected to be opened once, before the next entry`;
        throw new OrbweaverError('CLOSED', message, { entry: name });
      }
      opened = true;
      aborted = signal;
      return {
        async read(into) {
          if (drained) throw new OrbweaverError('CLOSED', `"${name}" is behind the stream`);
          throwIfAborted(aborted);
          return reader.read(into);
        },
        async close() {},
      };
    },
  };
  return {
    source,
    async drain(scratch) {
      drained = true;
      while ((await reader.read(scratch)) > 0);
      return reader.end();
    },
  };
}

/** The directory and the end record must describe the entries that came, in this order. */
async function readEnd(
  queue: ByteQueue,
  archive: string,
  limits: ZipLimits,
  seen: readonly EntryEnd[],
  firstSignature: number,
): Promise<void> {
  let signature = firstSignature;
  let directoryBytes = 0;
  let count = 0;
  while (signature === DIRECTORY_SIGNATURE) {
    const fixed = await takeRecord(queue, signature, DIRECTORY_RECORD_BYTES, 'a directory record');
    const view = viewOf(fixed);
    const tailBytes =
      view.getUint16(28, true) + view.getUint16(30, true) + view.getUint16(32, true);
    directoryBytes += fixed.length + tailBytes;
    checkLimit(archive, 'bytes of the directory', limits.maxDirectoryBytes, directoryBytes);
    const bytes = new Uint8Array(fixed.length + tailBytes);
    bytes.set(fixed);
    bytes.set(await queue.take(tailBytes, 'a directory record'), fixed.length);
    const record = readDirectoryRecord(archive, bytes, 0);
    const entry = seen[count++];
    const same =
      entry !== undefined &&
      entry.name === record.name &&
      entry.crc32 === record.crc32 &&
      entry.sizeBytes === record.sizeBytes;
    if (!same) {
      throw zipInvalid(archive, 'a directory of the entries before it', `"${record.name}"`, {
        entry: record.name,
      });
    }
    signature = viewOf(await queue.take(4, 'a directory record')).getUint32(0, true);
  }
  const directoryEnd = queue.position - 4;
  const wide =
    signature === ZIP64_END_SIGNATURE
      ? readZip64End(archive, await takeRecord(queue, signature, ZIP64_END_BYTES, 'the ZIP64 end'))
      : null;
  if (wide !== null) {
    const locator = await queue.take(ZIP64_LOCATOR_BYTES, 'the ZIP64 locator');
    const wideOffset = readLocator(archive, locator);
    if (wideOffset !== directoryEnd) {
      throw zipInvalid(archive, `a ZIP64 end record at ${directoryEnd}`, wideOffset);
    }
    signature = viewOf(await queue.take(4, 'the end record')).getUint32(0, true);
  }
  if (signature !== END_SIGNATURE) {
    throw zipInvalid(archive, 'an entry, a directory record or the end', signature.toString(16));
  }
  const endBytes = await takeRecord(queue, signature, END_BYTES, 'the end record');
  const end = readEndRecord(archive, endBytes);
  if (wide !== null) checkSamePlace(archive, end, wide);
  const place = wide ?? end;
  if (count !== seen.length || place.entryCount !== count) {
    throw zipInvalid(archive, `${seen.length} directory records`, count);
  }
  const found = `${directoryBytes} bytes at ${directoryEnd - directoryBytes}`;
  const said = `${place.directoryBytes} bytes at ${place.directoryOffset}`;
  if (said !== found) throw zipInvalid(archive, `a directory of ${said}`, found);
  await queue.take(viewOf(endBytes).getUint16(20, true), 'the archive comment');
  if ((await queue.takeSome(1)).length > 0) {
    throw zipInvalid(archive, 'the end', 'more bytes');
  }
}

/** A record whose signature has been read already, with it in front. */
async function takeRecord(
  queue: ByteQueue,
  signature: number,
  count: number,
  what: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  viewOf(bytes).setUint32(0, signature, true);
  bytes.set(await queue.take(count - 4, what), 4);
  return bytes;
}
