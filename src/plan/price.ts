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
  /** At most this part of a joined range may be gaps, but for as many bytes as a request costs. */
  readonly maxGapShare: number;
}

/**
 * Origin: the reference client (hf_xet 1.8.0) reading a 205 MB file of 785 terms from our gateway on
 * loopback (`bench/placement.mjs --gaps`). A request costs both sides together 1.3 ms of processor
 * time, a megabyte 5.7 ms: a request is worth 225 kB. On links the price depends on whether the
 * link is full: 20 ms and 1 Gbit/s like wide gaps even better, 40 ms and 200 Mbit/s hide requests
 * behind each other and like none. A quarter of a MiB is right where processors are the limit and
 * costs a slow link no more than the gaps. It is why the share of gaps has a bound of its own: with
 * half, nobody reads much more than twice what is needed, however slow the link. 16 MiB: 205 MB in 18
 * ranges were read as fast as in 11, and eight of them in flight fill a link of 1 Gbit/s at 1 s.
 * bench/notes/placement.md has the tables.
 */
export const DEFAULT_READ_PRICE: ReadPriceModel = {
  requestCostBytes: 256 * 1024,
  maxRangeBytes: 16 * 1024 * 1024,
  maxGapShare: 1 / 2,
};
