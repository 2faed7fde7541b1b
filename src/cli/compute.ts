import {
  type ClientOptions,
  type ComputeOptions,
  createClient,
  type OrbweaverClient,
  type TierRequest,
} from '../index.js';
import { type ParsedArgs, usage } from './command.js';

const TIERS: readonly TierRequest[] = ['auto', 'simd', 'portable', 'readable'];

/** `--workers`, `--max-memory` and `--tier`. @throws USAGE */
export function computeOptionsOf(args: ParsedArgs): ComputeOptions {
  const workers = args.count('workers');
  const maxMemory = args.bytes('max-memory');
  const tierText = args.text('tier');
  // Commands with a table have refused this before; those that parse by hand have not.
  const tier = TIERS.find((name) => name === tierText);
  if (tierText !== undefined && tier === undefined) {
    throw usage(`--tier expected one of ${TIERS.join(', ')}, got "${tierText}"`);
  }
  return {
    ...(workers === undefined ? {} : { workers }),
    ...(maxMemory === undefined ? {} : { maxMemory }),
    ...(tier === undefined ? {} : { tier }),
  };
}

/** Most requests of a transfer at a time, as `createClient` has it. */
const MAX_CONCURRENCY = 256;

/**
 * `--limit-upload`, `--limit-download` and `--concurrency`.
 * @throws USAGE for no bytes at all, and for another number of requests than a client takes
 */
export function limitOptionsOf(
  args: ParsedArgs,
): Pick<ClientOptions, 'limitUpload' | 'limitDownload' | 'concurrency'> {
  const rate = (name: string): number | undefined => {
    const bytes = args.bytes(name);
    if (bytes === 0) throw usage(`--${name} expected more than 0 bytes per second`);
    return bytes;
  };
  const concurrency = args.count('concurrency');
  if (concurrency !== undefined && (concurrency < 1 || concurrency > MAX_CONCURRENCY)) {
    throw usage(`--concurrency expected 1 to ${MAX_CONCURRENCY}, got "${concurrency}"`);
  }
  const limits = { limitUpload: rate('limit-upload'), limitDownload: rate('limit-download') };
  return { ...limits, concurrency };
}

/** For --verbose: the kernels, and why they are not the fastest ones. */
export function kernelNote({ tier, fallbackReason }: OrbweaverClient): string {
  return `kernels: ${tier}${fallbackReason === null ? '' : `, because ${fallbackReason}`}\n`;
}

/**
 * A client for a command. What the library reports as a programmer's mistake (`TypeError`,
 * `RangeError`) came from the command line here, so it is a `USAGE` error.
 */
export function openClient(options: ClientOptions): Promise<OrbweaverClient> {
  return asUsage(createClient(options));
}

/** @throws OrbweaverError USAGE instead of `TypeError` and `RangeError` */
export async function asUsage<T>(opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      // As it is spelled here: "maxMemory" is --max-memory. An endpoint may come from the environment.
      const dashed = (name: string): string =>
        name === 'endpoint'
          ? 'the endpoint'
          : `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
      throw usage(error.message.replace(/^"([a-z]\w*)"/i, (_, name: string) => dashed(name)));
    }
    throw error;
  }
}
