import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES } from '../hash/index.js';
import { RECORD_HEADER_BYTES, XORB_MAX_BYTES, XORB_MAX_CHUNKS } from '../xorb/index.js';
import { adoptedFile } from './adopted-file.js';
import { Batch } from './chunk-source.js';
import { DEFAULT_MAX_KNOWN_CHUNKS, DEFAULT_SHARD_BYTES, MAX_FILE_TERMS } from './constants.js';
import { FileState } from './file-state.js';
import { FinishedFiles } from './finished-files.js';
import { OutsideSources } from './outside-sources.js';
import { createPricedPlacement } from './placement-priced.js';
import { Placer } from './placer.js';
import { chunksToAsk } from './query-policy.js';
import { ResumedXorbs } from './resumed-xorbs.js';
import { sessionShards } from './session-shards.js';
import { SessionXorbs } from './session-xorbs.js';
import type { DedupSession, DedupSessionOptions, FileHandle } from './types.js';
import { XorbRegistry } from './xorb-registry.js';

/**
 * An empty session.
 *
 * @throws TypeError, RangeError for options out of range
 *
 * @example
 * const session = createDedupSession({ hasher: createReadableBlake3() });
 * const file = session.openFile();
 * const { newRuns, closed } = session.place(file, hashes, lengths); // append, send what is closed
 * const { fileHash, newBytes } = session.finishFile(file);
 * const last = session.closeOpenXorb();
 * for (const shard of session.shards()) register(shard);
 */
export function createDedupSession(options: DedupSessionOptions): DedupSession {
  const { hasher } = options;
  const limits = {
    maxBytes: option('xorbMaxBytes', options.xorbMaxBytes ?? XORB_MAX_BYTES, {
      min: MAX_CHUNK_BYTES + RECORD_HEADER_BYTES,
      max: XORB_MAX_BYTES,
    }),
    maxChunks: option('xorbMaxChunks', options.xorbMaxChunks ?? XORB_MAX_CHUNKS, {
      min: 1,
      max: XORB_MAX_CHUNKS,
    }),
  };
  const maxKnownChunks = option(
    'maxKnownChunks',
    options.maxKnownChunks ?? DEFAULT_MAX_KNOWN_CHUNKS,
    { min: 0, max: 2 ** 31 },
  );
  const maxFileTerms = option('maxFileTerms', options.maxFileTerms ?? MAX_FILE_TERMS, {
    min: 1,
    max: MAX_FILE_TERMS,
  });
  const policy = options.placement ?? createPricedPlacement();
  const registry = new XorbRegistry();
  const xorbs = new SessionXorbs(hasher, registry, limits);
  const resumed = new ResumedXorbs(registry);
  const known = { session: xorbs.source, resumed };
  const outside = new OutsideSources(registry, known, maxKnownChunks);
  const placer = new Placer(xorbs, outside, { policy, maxFileTerms });
  const open = new Map<FileHandle, FileState>();
  const listed = new Set<number>();
  let finished = new FinishedFiles();
  /** Finished files that were taken as stored. */
  let taken = 0;
  let handles = 0;

  function stateOf(file: FileHandle): FileState {
    const state = open.get(file);
    if (state === undefined) throw new TypeError(`"file" expected an open file, got ${file}`);
    return state;
  }

  return {
    addShard: (bytes, origin, nowSeconds, maxBytes = Number.POSITIVE_INFINITY) =>
      outside.add(bytes, origin, { nowSeconds, maxBytes }),

    addRuns: (runs, origin, maxBytes) => outside.addRuns(runs, origin, maxBytes),

    unknownOf(hashes) {
      const count = hashes.length / HASH_BYTES;
      const batch = new Batch(hasher, hashes, new Uint32Array(count));
      return Array.from({ length: count }, (_, i) => i).filter((i) => !placer.isKnown(batch, i));
    },
    resumeXorbs: (shard) => outside.resume(shard),

    shrinkOutside: (maxBytes) => outside.shrink(maxBytes),

    openFile() {
      const file = handles++;
      open.set(file, new FileState(hasher, policy.openFile()));
      return file;
    },

    queriesFor(file, hashes, lengths) {
      const state = stateOf(file);
      checkBatch(hashes, lengths);
      const batch = new Batch(hasher, hashes, lengths);
      return chunksToAsk(state.queries, state.chunkCount, hashes, (i) => placer.isKnown(batch, i));
    },

    place(file, hashes, lengths) {
      const state = stateOf(file);
      checkBatch(hashes, lengths);
      return placer.place(state, new Batch(hasher, hashes, lengths));
    },

    closeOpenXorb: () => xorbs.close(),

    setSerializedBytes: (slot, bytes) => xorbs.setSerializedBytes(slot, bytes),

    finishFile(file, sha256) {
      const state = stateOf(file);
      if (sha256 !== undefined && sha256.length !== 32) {
        throw new RangeError(`"sha256" expected 32 bytes, got ${sha256.length}`);
      }
      open.delete(file);
      if (state.termCount > maxFileTerms) {
        throw new OrbweaverError(
          'TOO_MANY_TERMS',
          `a file expected to need at most ${maxFileTerms} terms, needs ${state.termCount}`,
          { terms: state.termCount, maxTerms: maxFileTerms },
        );
      }
      const done = state.finish(sha256 ?? null);
      finished.add(done.file);
      return done.summary;
    },

    dropFile(file) {
      stateOf(file);
      open.delete(file);
    },

    get finishedCount() {
      return finished.count;
    },

    dropFinished(file) {
      finished.drop(file);
    },

    adoptFile(record) {
      const { file, summary } = adoptedFile(record, registry);
      finished.add(file);
      return summary;
    },

    *takeStoredFiles(isStored) {
      const isThere = (id: number): boolean => {
        if (!xorbs.source.hasXorb(id)) return true;
        const hash = registry.closedHash(id);
        return hash !== null && isStored(hash);
      };
      while (taken < finished.count && every(finished.xorbsOf(taken), isThere)) {
        const file = taken++;
        yield () => finished.shardFile(file, registry);
      }
    },

    shards: (maxBytes = DEFAULT_SHARD_BYTES) => [
      ...sessionShards({ files: finished, xorbs, resumed, registry, listed }, maxBytes),
    ],

    eachShard: (maxBytes = DEFAULT_SHARD_BYTES) =>
      sessionShards({ files: finished, xorbs, resumed, registry, listed }, maxBytes),

    startOver(isListed, keepsResumed = () => false) {
      if (open.size > 0) throw new TypeError(`no open files expected, got ${open.size}`);
      outside.clear(keepsResumed);
      finished = new FinishedFiles();
      taken = 0;
      for (let slot = 0; slot < xorbs.source.spanCount; slot++) {
        if (isListed(registry.hashOf(xorbs.source.idOf(slot)))) listed.add(slot);
      }
    },

    stats: () => ({
      chunks: xorbs.source.index.count,
      xorbs: xorbs.source.spanCount,
      rawBytes: xorbs.rawBytes,
      knownChunks: outside.chunkCount,
      keys: outside.keyCount,
      indexBytes: xorbs.source.index.memoryBytes + resumed.memoryBytes + outside.memoryBytes,
      outsideBytes: outside.memoryBytes,
      fileBytes: finished.memoryBytes,
      openXorbBytes: xorbs.openBytes,
    }),
  };
}

function every<T>(items: Iterable<T>, holds: (item: T) => boolean): boolean {
  for (const item of items) if (!holds(item)) return false;
  return true;
}

/** One hash per length, each length that of a chunk. @throws RangeError */
function checkBatch(hashes: Uint8Array, lengths: Uint32Array): void {
  if (hashes.length !== lengths.length * HASH_BYTES) {
    throw new RangeError(
      `"hashes" expected ${lengths.length * HASH_BYTES} bytes for ${lengths.length} chunks, got ${hashes.length}`,
    );
  }
  for (const length of lengths) {
    if (length === 0 || length > MAX_CHUNK_BYTES) {
      throw new RangeError(`"lengths" expected 1 to ${MAX_CHUNK_BYTES}, got ${length}`);
    }
  }
}

function option(name: string, value: number, range: { min: number; max: number }): number {
  if (!(Number.isInteger(value) && value >= range.min && value <= range.max)) {
    throw new RangeError(`"${name}" expected ${range.min} to ${range.max}, got ${value}`);
  }
  return value;
}
