import { DEFAULT_READ_PRICE } from '../plan/index.js';
import { RECORD_BYTES, SHARD_MAX_BYTES } from '../shard/index.js';

/** Every number of the dedup module that somebody chose, with where it comes from. */

/**
 * Largest shard that a session makes unless told otherwise: 16 MiB, a quarter of the limit, so that
 * a lost upload repeats little, and as much as a gateway puts into one dedup response.
 */
export const DEFAULT_SHARD_BYTES: number = 16 * 1024 * 1024;

/**
 * After a query at chunk i > 0 of a file the next one is possible at i + 256, about 16 MiB on.
 * Origin: the reference client's `min_spacing_between_global_dedup_queries` (in use since 1.8), there
 * from the first chunk on.
 */
export const QUERY_SPACING_CHUNKS = 256;

/**
 * Most chunks of shards from outside in memory, about 180 MB of tables for 256 GiB of known data.
 * (The reference client takes 16 times as many; a server that lies or talks too much must not be
 * able to fill our memory.)
 */
export const DEFAULT_MAX_KNOWN_CHUNKS: number = 4 * 1024 * 1024;

/** Memory of one chunk from outside, tables and its share of the xorb's hash included; measured. */
export const OUTSIDE_CHUNK_BYTES = 48;

/**
 * Most different keys in use. Each costs one keyed hash per chunk that is looked up, so a server
 * with a fresh key per response would make an upload quadratic; the key that served longest ago goes.
 */
export const MAX_KEYS = 64;

/**
 * Shards from outside may bring one xorb per 16 chunks that fit into memory. A full xorb has about
 * 1000; only somebody who wants to fill our memory with xorb hashes gets to this limit.
 */
export const MIN_CHUNKS_PER_XORB = 16;

/** Most places remembered for one chunk; more change no decision. */
export const MAX_PLACES_PER_CHUNK = 8;

/**
 * Longest probe sequence in tables of hashes that came from outside. At the highest load of 3/4 an
 * honest hash gets there with a chance of 10^-16; chosen ones do at once, and are left out.
 */
export const MAX_OUTSIDE_PROBES = 128;

/**
 * Most copies of one chunk side by side. A choice: 90 GiB of zeros are then 13,000 terms, 1.3 MB of a
 * shard, and a reader of one such term decodes 8 MiB.
 */
export const MAX_COPIES = 64;

/** At most one copy is stored for so many repeats of a chunk: 0.8 % of the run, none below 16 MiB. */
export const REPEATS_PER_COPY = 128;

/**
 * Most terms of one file: its records (a header, a SHA-256, and two for each term) must fit into one
 * shard beside what every shard has, for which 4 KiB is plenty.
 */
export const MAX_FILE_TERMS: number = Math.floor((SHARD_MAX_BYTES - 4096) / RECORD_BYTES / 2) - 1;

/** What the default placement policy weighs; all in bytes of reading. */
export interface PlacementPrices {
  /** One more ranged request costs a reader as much as reading this many bytes. */
  readonly requestBytes: number;
  /** A gap up to this long between two ranges of a xorb is read over. */
  readonly gapBytes: number;
  /** One byte stored (and sent) again counts as this many bytes read. */
  readonly storedWeight: number;
  /** Every placed byte lets readers pay this much more for later runs that are too short. */
  readonly creditPerByte: number;
  /** Credit of a new file, and the most that it can save up. */
  readonly creditBytes: number;
  /**
   * After a refusal, a run that does not pay for itself is referred to only once the credit is back
   * at this: storing again pays in long stretches, not in holes.
   */
  readonly resumeCreditBytes: number;
  /** Ranges of a file that are remembered to see what a reader would coalesce. */
  readonly rememberedRanges: number;
}

/**
 * `requestBytes` and `gapBytes` are the model that the fetch plan and the gateway use: reading over
 * a gap is worth it exactly as long as it is cheaper than a request. Stored bytes weigh 1: each is
 * sent once, and read about as often as the file. The credit is our choice: 16 requests, so that
 * small files and the few odd chunks of a large one always deduplicate, and an eighth, so that runs
 * too short for their price make a long file at most 12 % dearer to read. 64 ranges span far more
 * of a file than readers hold in one window.
 */
export const DEFAULT_PLACEMENT_PRICES: PlacementPrices = {
  requestBytes: DEFAULT_READ_PRICE.requestCostBytes,
  gapBytes: DEFAULT_READ_PRICE.requestCostBytes,
  storedWeight: 1,
  creditPerByte: 1 / 8,
  creditBytes: 16 * DEFAULT_READ_PRICE.requestCostBytes,
  resumeCreditBytes: 0,
  rememberedRanges: 64,
};

/**
 * For files that are read far more often than they are stored: what is not stored again counts for
 * nothing, so that all that readers pay for gaps and requests comes out of the credit: a twentieth
 * of the file and four requests. Where a file is edited more densely than that, it is stored again
 * in stretches of at least twenty times half the credit, 10 MiB.
 */
export const READ_FAST_PRICES: PlacementPrices = {
  ...DEFAULT_PLACEMENT_PRICES,
  storedWeight: 0,
  creditPerByte: 1 / 20,
  creditBytes: 4 * DEFAULT_READ_PRICE.requestCostBytes,
  resumeCreditBytes: 2 * DEFAULT_READ_PRICE.requestCostBytes,
};

/** The reference client's rule against fragmentation: terms in its window. */
export const REFERENCE_WINDOW_TERMS = 128;
/** Mean chunks per term that it wants after a refusal (`min_n_chunks_per_range`). */
export const REFERENCE_HIGH_CHUNKS = 8;
/** The same after an acceptance: the high threshold times the hysteresis factor 0.5. */
export const REFERENCE_LOW_CHUNKS = 4;
