import { readZipEntries, readZipStream } from '../archive/index.js';
import type { RandomAccess, Source } from '../client/ports.js';
import { bytesRandomAccess, openRandomAccess } from '../io/index.js';
import { bareOf, inputName, toSource, type UploadInput } from './input.js';

/**
 * Hands the entries of a ZIP archive to `add` as sources. A file or an array is read through its
 * central directory; a stream by its local headers, one entry after the other.
 *
 * @param add resolves when the entry has been read to its end; a rejection is for that entry only
 * @throws OrbweaverError `ZIP_INVALID`, `UNSAFE_PATH`, `INPUT_*`
 */
export async function addZipEntries(
  input: UploadInput,
  add: (entry: Source) => Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  const access = await randomAccessOf(input);
  if (access !== null) {
    try {
      const entries = await readZipEntries(access);
      await Promise.allSettled(entries.map(add));
    } finally {
      await access.close();
    }
    return;
  }
  const source = await toSource(input);
  const reader = await source.open(signal);
  try {
    // A stream cannot skip: an entry that failed ends the archive, with the reader's own error.
    for await (const entry of readZipStream(reader, source.name)) await add(entry);
  } finally {
    await reader.close();
  }
}

async function randomAccessOf(input: UploadInput): Promise<RandomAccess | null> {
  const data = bareOf(input);
  if (typeof data === 'string') return openRandomAccess(data);
  return data instanceof Uint8Array ? bytesRandomAccess(data, inputName(input)) : null;
}
