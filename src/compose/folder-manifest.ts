import type { Readable } from 'node:stream';
import { downloadFile } from '../client/downloads.js';
import {
  type FolderEntry,
  isManifestStart,
  MAX_MANIFEST_BYTES,
  ManifestReader,
  type ManifestTotals,
  type NameRules,
  notManifest,
  SNIFF_BYTES,
} from '../folder/index.js';
import { MerkleHash } from '../hash/index.js';
import { createSpool, type Spool, spoolSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { DownloadParts } from './download.js';

/** A manifest on this disk, whose hash was checked, and what it cost. */
export interface FetchedManifest {
  readonly spool: Spool;
  readonly fetchedBytes: number;
  readonly requestCount: number;
}

/**
 * Fetches a manifest and checks its hash. A file that is none is given up after its first bytes.
 * @throws OrbweaverError `FORMAT_INVALID` for another file, `LIMIT_EXCEEDED`, what `downloadFile` throws
 */
export async function fetchManifest(
  { cas, pool, budget, concurrency }: DownloadParts,
  manifestHash: string,
  signal: AbortSignal | undefined,
): Promise<FetchedManifest> {
  const spool = await createSpool();
  let seenBytes = 0;
  const start = new Uint8Array(SNIFF_BYTES);
  const check = (bytes: Uint8Array): void => {
    if (seenBytes >= SNIFF_BYTES) return;
    start.set(bytes.subarray(0, SNIFF_BYTES - seenBytes), seenBytes);
    seenBytes += bytes.length;
    if (seenBytes >= SNIFF_BYTES && !isManifestStart(start))
      throw notManifest(`file ${manifestHash}`);
  };
  try {
    const { fetchedBytes, requestCount } = await downloadFile({
      cas,
      pool,
      budget,
      concurrency,
      clock: SYSTEM_CLOCK,
      hasher: pool.kernels.hasher,
      fileHash: MerkleHash.parse(manifestHash),
      sink: spoolSink(spool, { check, maxBytes: MAX_MANIFEST_BYTES }),
      signal,
    });
    if (seenBytes < SNIFF_BYTES) throw notManifest(`file ${manifestHash}`);
    return { spool, fetchedBytes, requestCount };
  } catch (error) {
    await spool.remove();
    // What a stream has passed on is not to be trusted; here nothing was.
    const isOther = seenBytes >= SNIFF_BYTES && !isManifestStart(start);
    throw isOther ? notManifest(`file ${manifestHash}`) : error;
  }
}

/** Reads a manifest that is on this disk. @throws what `ManifestReader` throws */
export async function* readSpool(
  spool: Spool,
  rules: NameRules,
): AsyncGenerator<FolderEntry, ManifestTotals> {
  const reader = new ManifestReader(rules);
  for await (const bytes of spool.read()) yield* reader.push(bytes);
  return reader.finish();
}

/** All of it once: nothing is done before the last line is known to be right. */
export async function checkSpool(spool: Spool, rules: NameRules): Promise<ManifestTotals> {
  const entries = readSpool(spool, rules);
  for (;;) {
    const next = await entries.next();
    if (next.done === true) return next.value;
  }
}

/** Entries as they come. The stream ends with an error when the file hash is another one. */
export async function* readManifestStream(
  stream: Readable,
  rules: NameRules,
): AsyncGenerator<FolderEntry, void> {
  const reader = new ManifestReader(rules);
  for await (const bytes of stream) yield* reader.push(bytes as Uint8Array);
  reader.finish();
}
