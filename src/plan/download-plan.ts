import { OrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import { DEFAULT_READ_PRICE } from './price.js';
import { type IndexedRange, indexRanges, type RangeIndex } from './range-index.js';
import type { FetchRange, Reconstruction, Term } from './types.js';

/**
 * From a reconstruction to work: what to fetch, and where each decoded chunk run lands in the
 * output. Pure; fetching, decoding and writing are the caller's.
 *
 *     terms     |---- A 0..9 ----|-- B 3..5 --|---- A 9..20 ----|
 *     output   [drop|                                       |clip]
 *     windows       |<------ window 0 ------->|<-- window 1 ->|
 *
 * Windows are cut between terms, because only terms have known lengths. A term that is longer than
 * a window is a window of its own, with one fetch and one use, so it can be streamed in order
 * without holding it.
 */
export interface DownloadPlan {
  /** Bytes that come out. */
  readonly outputBytes: number;
  /** Chunks of the terms that are needed; `chunkOrdinal` counts through them. */
  readonly chunkCount: number;
  /** In output order, side by side; empty when nothing comes out. */
  readonly windows: readonly PlanWindow[];
}

/** Output bytes `[outputStart, outputEnd)` and everything that has to be fetched for them. */
export interface PlanWindow {
  readonly outputStart: number;
  readonly outputEnd: number;
  /** By the output position of their first use. No range appears twice in one window. */
  readonly fetches: readonly PlannedFetch[];
}

/** One request: ranges of one URL, ascending and apart. */
export interface PlannedFetch {
  readonly xorb: MerkleHash;
  readonly url: string;
  readonly ranges: readonly FetchRange[];
  /** By output position. A range may have several uses, and chunks of it may have none. */
  readonly uses: readonly FetchUse[];
}

/** Chunks of a fetched range that make up one piece of the output. */
export interface FetchUse {
  /** Into `PlannedFetch.ranges`. */
  readonly rangeIndex: number;
  /** Chunk numbers in the xorb; inside of the range. */
  readonly chunkStart: number;
  readonly chunkEnd: number;
  /** Bytes that these chunks decode to, before dropping and clipping. */
  readonly unpackedBytes: number;
  /** Where the first byte of `chunkStart` lands. Negative: so many bytes are dropped first. */
  readonly outputOffset: number;
  /** Bytes that would land here or later are dropped. */
  readonly outputEnd: number;
  /** Position of `chunkStart` in the list of the chunks of all terms. */
  readonly chunkOrdinal: number;
}

/** Options of {@link planDownload}. */
export interface DownloadPlanOptions {
  /**
   * Bytes wanted after the offset; more than there are is fine.
   * @default all
   */
  readonly outputBytes?: number;
  /**
   * Bytes of output that a window may hold (one term may be more). For sinks that can only append.
   * @default Infinity (one window, for sinks that can be written anywhere)
   */
  readonly windowBytes?: number;
  /**
   * Put up to 64 short ranges of a URL into one request; short is below
   * `DEFAULT_READ_PRICE.requestCostBytes`. Stores such as S3 do not serve that.
   * @default false
   */
  readonly multiRange?: boolean;
}

/**
 * So that a `Range` header stays far below the 16 KiB that servers take for all headers, and a request
 * of short ranges below the longest range.
 */
const MAX_RANGES_PER_REQUEST = 64;

/** A use before its window's requests are put together. */
interface PlacedTerm {
  readonly source: IndexedRange;
  readonly use: Omit<FetchUse, 'rangeIndex'>;
}

/**
 * Plans the download of a whole file or of the byte range a reconstruction was asked for.
 *
 * @throws OrbweaverError `PROTOCOL` when no range covers a term
 * @throws RangeError for a negative or fractional option
 * @example
 * const plan = planDownload(parseReconstruction(json), { windowBytes: 32 << 20 });
 * for (const window of plan.windows) await Promise.all(window.fetches.map(fetchAndDecode));
 */
export function planDownload(
  reconstruction: Reconstruction,
  options: DownloadPlanOptions = {},
): DownloadPlan {
  const windowBytes = checkBytes('windowBytes', options.windowBytes, 1);
  const wantedBytes = checkBytes('outputBytes', options.outputBytes, 0);
  const multiRange = options.multiRange ?? false;
  const indexes = indexRanges(reconstruction.fetches);

  const windows: PlanWindow[] = [];
  let open: PlacedTerm[] = [];
  let chosen = new Set<FetchRange>();
  let windowStart = 0;
  let outputEnd = 0;
  let chunkOrdinal = 0;
  let position = -reconstruction.offsetIntoFirstTerm;
  const closeWindow = (): void => {
    if (open.length === 0) return;
    windows.push({
      outputStart: windowStart,
      outputEnd,
      fetches: buildFetches(open, multiRange),
    });
    windowStart = outputEnd;
    open = [];
    chosen = new Set();
  };

  for (const [index, term] of reconstruction.terms.entries()) {
    if (Math.max(position, 0) >= wantedBytes) break;
    const clippedEnd = Math.min(position + term.unpackedBytes, wantedBytes);
    if (clippedEnd - windowStart > windowBytes) closeWindow();
    const source = findRange(indexes, term, index, chosen);
    chosen.add(source.range);
    open.push({
      source,
      use: {
        chunkStart: term.chunkStart,
        chunkEnd: term.chunkEnd,
        unpackedBytes: term.unpackedBytes,
        outputOffset: position,
        outputEnd: clippedEnd,
        chunkOrdinal,
      },
    });
    position += term.unpackedBytes;
    outputEnd = clippedEnd;
    chunkOrdinal += term.chunkEnd - term.chunkStart;
  }
  closeWindow();
  return { outputBytes: outputEnd, chunkCount: chunkOrdinal, windows };
}

function findRange(
  indexes: ReadonlyMap<string, RangeIndex>,
  term: Term,
  termIndex: number,
  chosen: ReadonlySet<FetchRange>,
): IndexedRange {
  const xorb = term.xorb.toString();
  const found = indexes
    .get(xorb)
    ?.find(term.chunkStart, term.chunkEnd, (candidate) => chosen.has(candidate.range));
  if (found === undefined || found === null) {
    throw new OrbweaverError(
      'PROTOCOL',
      `"terms[${termIndex}]" expected a fetch range that covers chunks ` +
        `[${term.chunkStart}, ${term.chunkEnd}), got none`,
      { field: `terms[${termIndex}]`, xorb },
    );
  }
  return found;
}

/** The requests of one window: each range once, with all its uses. */
function buildFetches(placed: readonly PlacedTerm[], multiRange: boolean): PlannedFetch[] {
  const usesOfRange = new Map<FetchRange, PlacedTerm[]>();
  const sources: IndexedRange[] = [];
  for (const term of placed) {
    const known = usesOfRange.get(term.source.range);
    if (known === undefined) {
      usesOfRange.set(term.source.range, [term]);
      sources.push(term.source);
    } else known.push(term);
  }
  const requests = multiRange ? groupByUrl(sources) : sources.map((source) => [source]);
  const fetches = requests.map((request) => buildFetch(request, usesOfRange));
  return fetches.sort((a, b) => firstOffset(a) - firstOffset(b));
}

function buildFetch(
  request: readonly IndexedRange[],
  usesOfRange: ReadonlyMap<FetchRange, readonly PlacedTerm[]>,
): PlannedFetch {
  const [first] = request as [IndexedRange];
  const uses = request.flatMap(({ range }, rangeIndex) =>
    (usesOfRange.get(range) ?? []).map(({ use }) => ({ rangeIndex, ...use })),
  );
  return {
    xorb: first.xorbFetch.xorb,
    url: first.entry.url,
    ranges: request.map(({ range }) => range),
    uses: uses.sort((a, b) => a.outputOffset - b.outputOffset),
  };
}

/**
 * Short ranges of one URL in ascending order; overlapping ones and too many go into further requests.
 * A range that is worth a request of its own gets it: a plain response is read straight into place, the
 * parts of a multipart response have to be looked for, which costs more than another request does.
 */
function groupByUrl(sources: readonly IndexedRange[]): IndexedRange[][] {
  const byEntry = new Map<unknown, IndexedRange[]>();
  for (const source of sources) {
    const known = byEntry.get(source.entry);
    if (known === undefined) byEntry.set(source.entry, [source]);
    else known.push(source);
  }
  const requests: IndexedRange[][] = [];
  for (const entrySources of byEntry.values()) {
    entrySources.sort((a, b) => a.range.byteStart - b.range.byteStart);
    let request: IndexedRange[] = [];
    for (const source of entrySources) {
      const { byteStart, byteEnd } = source.range;
      const previous = request.at(-1);
      if (byteEnd - byteStart >= DEFAULT_READ_PRICE.requestCostBytes) {
        requests.push([source]);
        continue;
      }
      const apart = previous === undefined || byteStart >= previous.range.byteEnd;
      if (!apart || request.length === MAX_RANGES_PER_REQUEST) {
        requests.push(request);
        request = [];
      }
      request.push(source);
    }
    if (request.length > 0) requests.push(request);
  }
  return requests;
}

function firstOffset(fetch: PlannedFetch): number {
  return fetch.uses[0]?.outputOffset ?? 0;
}

function checkBytes(field: string, value: number | undefined, least: number): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`"${field}" expected an integer of at least ${least}, got ${value}`);
  }
  return value;
}
