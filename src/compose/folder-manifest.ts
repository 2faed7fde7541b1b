import { downloadFile } from '../client/downloads.js';
import type { Sink } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
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
import { memorySink, type Spool, spoolSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { DownloadParts } from './download.js';

/** What a manifest cost, whose hash was checked. */
export interface FetchedManifest {
  readonly fetchedBytes: number;
  readonly requestCount: number;
}

/**
 * Fetches a manifest into a spool, which stays the caller's, and checks its hash. A file that is none is given up
 * after its first bytes.
 * @throws OrbweaverError `FORMAT_INVALID` for another file, `LIMIT_EXCEEDED`, what `downloadFile` throws
 */
export async function fetchManifest(
  { cas, pool, budget, concurrency }: DownloadParts,
  manifestHash: string,
  spool: Spool,
  {
    signal,
    onFetched,
  }: {
    readonly signal: AbortSignal | undefined;
    /** So many bytes of it have come. */
    readonly onFetched: (bytes: number) => void;
  },
): Promise<FetchedManifest> {
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
      onProgress: (progress) => onFetched(progress.fetchedBytes),
    });
    if (seenBytes < SNIFF_BYTES) throw notManifest(`file ${manifestHash}`);
    return { fetchedBytes, requestCount };
  } catch (error) {
    // What a stream has passed on is not to be trusted; here nothing was.
    const isOther = seenBytes >= SNIFF_BYTES && !isManifestStart(start);
    throw isOther ? notManifest(`file ${manifestHash}`) : error;
  }
}

/** Reads a manifest that is in a spool. @throws what `ManifestReader` throws */
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
  stream: AsyncIterable<Uint8Array>,
  rules: NameRules,
): AsyncGenerator<FolderEntry, void> {
  const reader = new ManifestReader(rules);
  for await (const bytes of stream) yield* reader.push(bytes);
  reader.finish();
}

/** Whether a file begins as manifests do; `readStart` downloads its first bytes. */
export async function startsAsManifest(
  readStart: (sink: Sink) => Promise<unknown>,
): Promise<boolean> {
  const sink = memorySink();
  try {
    await readStart(sink);
  } catch (error) {
    // An empty file has no first byte.
    if (isOrbweaverError(error) && error.code === 'RANGE_INVALID') return false;
    throw error;
  }
  return isManifestStart(sink.bytes());
}
