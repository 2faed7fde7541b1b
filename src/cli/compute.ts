import type { ComputeOptions, TierRequest } from '../index.js';
import { type ParsedArgs, usage } from './args.js';

const TIERS: readonly TierRequest[] = ['auto', 'simd', 'portable', 'readable'];

/** `--workers`, `--max-memory` and `--tier`. @throws USAGE */
export function computeOptionsOf(args: ParsedArgs): ComputeOptions {
  const workers = args.count('workers');
  const maxMemory = args.bytes('max-memory');
  const tierText = args.text('tier');
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
