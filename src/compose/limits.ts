import { RateLimit } from '../flow/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { Rates } from '../transport/index.js';

/**
 * Caps of uploads and downloads, in bytes per second. They may be set at any time, and hold at once,
 * also for what is under way; Infinity: no limit.
 */
export interface TransferLimits {
  /** @throws RangeError for what is no number above 0 */
  upload: number;
  /** @throws RangeError for what is no number above 0 */
  download: number;
}

const RATES = Symbol('rates');

/**
 * Caps that clients share: `createClient({ limits })`.
 *
 * @throws RangeError for what is no number above 0
 * @example
 * const limits = createLimits({ upload: 2_000_000 });
 * const client = await createClient({ endpoint, token, limits });
 * limits.upload = Infinity; // all that the line carries, from now on
 */
export function createLimits(
  limits: { readonly [Way in keyof TransferLimits]?: TransferLimits[Way] | undefined } = {},
): TransferLimits {
  const upload = new RateLimit(SYSTEM_CLOCK, limits.upload);
  const download = new RateLimit(SYSTEM_CLOCK, limits.download);
  const rates: Rates = { upload, download };
  return {
    get upload() {
      return upload.bytesPerSecond;
    },
    set upload(bytesPerSecond) {
      upload.bytesPerSecond = bytesPerSecond;
    },
    get download() {
      return download.bytesPerSecond;
    },
    set download(bytesPerSecond) {
      download.bytesPerSecond = bytesPerSecond;
    },
    [RATES]: rates,
  } as TransferLimits;
}

/** @throws TypeError for limits that were not made by {@link createLimits} */
export function ratesOf(limits: TransferLimits): Rates {
  const rates = (limits as { readonly [RATES]?: Rates })[RATES];
  if (rates === undefined) throw new TypeError('"limits" expected what createLimits() made');
  return rates;
}
