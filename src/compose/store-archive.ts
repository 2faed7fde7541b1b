import { createZipWriter, readZipEntries } from '../archive/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { type Archived, exportFiles, importFiles, type ObjectStore } from '../gateway/index.js';
import { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { fileSink, openRandomAccess } from '../io/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';

/** Archives of stored files are ZIPs, stored and not compressed again: every tool lists them. */

/** What writing and reading an archive takes. */
export interface StoreArchiveOptions {
  /** Of the archive. */
  readonly path: string;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  readonly signal?: AbortSignal | undefined;
}

const RULES: OptionRules<StoreArchiveOptions> = {
  path: is.required(is.text),
  hasher: is.required(is.object),
  codec: is.required(is.object),
  signal: is.signal,
};

/**
 * Writes files of a gateway's store, with all they need, to one archive. It gets its name when it is whole.
 * @throws OrbweaverError `NOT_FOUND`, `INTEGRITY`, `OUTPUT_UNWRITABLE`
 */
export async function exportToArchive(
  store: ObjectStore,
  hashes: readonly string[],
  options: StoreArchiveOptions,
): Promise<Archived> {
  const { path, ...parts } = checkOptions('exportToArchive', options, RULES);
  const files = hashes.map((hash) => MerkleHash.parse(hash));
  const sink = fileSink(path);
  let at = 0;
  try {
    const zip = createZipWriter({
      name: path,
      write: async (bytes) => {
        await sink.write(bytes, at);
        at += bytes.length;
      },
    });
    const archived = await exportFiles(
      store,
      files,
      async (name, bytes) => {
        const entry = zip.entry(name);
        await entry.prepare?.(bytes.length);
        await entry.write(bytes, 0);
        await entry.commit(bytes.length);
      },
      parts,
    );
    const { sizeBytes } = await zip.finish();
    await sink.commit(sizeBytes);
    return archived;
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** A store holds more than most archives: only the objects in one are bounded. */
const LIMITS = {
  maxEntries: 10_000_000,
  maxEntryBytes: 128 * 1024 * 1024,
  maxTotalBytes: Number.MAX_SAFE_INTEGER,
} as const;

/**
 * Takes what `exportToArchive` wrote into a store.
 * @throws OrbweaverError `ZIP_INVALID`, `INTEGRITY`, `FORMAT_INVALID`
 */
export async function importFromArchive(
  store: ObjectStore,
  options: StoreArchiveOptions,
): Promise<Archived> {
  const { path, ...parts } = checkOptions('importFromArchive', options, RULES);
  const access = await openRandomAccess(path);
  try {
    const entries = (await readZipEntries(access, LIMITS)).map((entry) => ({
      name: entry.name,
      read: async (maxBytes: number): Promise<Uint8Array> => {
        const { sizeBytes } = entry;
        if (sizeBytes === null || sizeBytes === undefined || sizeBytes > maxBytes) {
          throw new OrbweaverError('FORMAT_INVALID', `"${entry.name}" of the archive is too large`);
        }
        const reader = await entry.open();
        try {
          const bytes = new Uint8Array(sizeBytes);
          for (let at = 0; at < sizeBytes; ) {
            const count = await reader.read(bytes.subarray(at));
            if (count === 0)
              throw new OrbweaverError('TRUNCATED', `"${entry.name}" ends too early`);
            at += count;
          }
          return bytes;
        } finally {
          await reader.close();
        }
      },
    }));
    return await importFiles(store, entries, parts);
  } finally {
    await access.close();
  }
}
