import type { PlacementName } from '../index.js';
import { type OptionSpec, type ParsedArgs, usage } from './command.js';

const PLACEMENTS: readonly PlacementName[] = ['balanced', 'store-least', 'read-fast', 'reference'];

export const BASE: OptionSpec = {
  name: 'base',
  value: 'HASH|PATH',
  help: 'the previous version: its hash, a local copy, or a folder; repeatable',
  isRepeatable: true,
};

export const PLACEMENT: OptionSpec = {
  name: 'placement',
  value: 'P',
  help: `known chunks: ${PLACEMENTS.join(', ')}`,
  choices: PLACEMENTS,
};

export const GRANTS: OptionSpec = {
  name: 'grants',
  value: 'G',
  help: 'straight into the store: auto, always, never',
  fallback: 'auto: where it is another host',
  choices: ['auto', 'always', 'never'],
};

export const MAX_XORB_BYTES: OptionSpec = {
  name: 'max-xorb-bytes',
  value: 'BYTES',
  help: 'most bytes of one request, for proxies that limit them',
  fallback: '64MiB',
};

/** @throws USAGE */
export function maxXorbBytesOf(args: ParsedArgs): number | undefined {
  const bytes = args.bytes('max-xorb-bytes');
  if (bytes !== undefined && bytes < 1024 * 1024) {
    throw usage('--max-xorb-bytes expected at least 1MiB');
  }
  return bytes;
}
