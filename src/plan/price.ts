/**
 * What reading costs: the one model that the gateway (which ranges it hands out), the placement
 * policy (reference or store anew) and the fetch plan share, so that they never disagree.
 *
 * A reader pays for requests and for bytes, and does not care about terms. The model counts both
 * in bytes: one more request costs as much as reading `requestCostBytes` more.
 */
export interface ReadPriceModel {
  /** Bytes that could be read in the time one more request takes. */
  readonly requestCostBytes: number;
  /** A range longer than this is cut, so that a file is read over several connections at once. */
  readonly maxRangeBytes: number;
}

/**
 * Origin: the reference client (hf_xet 1.8.0) reading from a loopback server that answers from
 * memory, median of three. A 205 MB file of 786 terms, 395 exact ranges: 0.64 s; gaps up to 64 KiB
 * read over: 290 requests, 0.49 s; up to 256 KiB: 11 requests, 20 % more bytes, 0.32 s; the same
 * cut at 16 MiB: 18 requests, 0.31 s. A 58 MB file of 74 terms: 33 requests 0.25 s, with 64 KiB gaps
 * 16 requests 0.10 s. Loopback is the cheapest request there is: over a real network it costs a
 * round trip as well, and the gap worth reading over only grows.
 */
export const DEFAULT_READ_PRICE: ReadPriceModel = {
  requestCostBytes: 256 * 1024,
  maxRangeBytes: 16 * 1024 * 1024,
};

/** What one way of reading takes. */
export interface ReadCost {
  /** Ranged requests. */
  readonly requests: number;
  /** Stored bytes fetched, gaps included. */
  readonly bytes: number;
}

/**
 * The price of reading, in bytes; only comparable under the same model.
 *
 * @example
 * // Ten runs of 1 MiB, or one read of 12 MiB that holds them all?
 * readPrice({ requests: 10, bytes: 10 << 20 }) > readPrice({ requests: 1, bytes: 12 << 20 }); // true
 */
export function readPrice(cost: ReadCost, model: ReadPriceModel = DEFAULT_READ_PRICE): number {
  return cost.bytes + cost.requests * model.requestCostBytes;
}
