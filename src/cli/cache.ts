import { join, resolve } from 'node:path';
import type { ClientOptions, OrbweaverClient } from '../index.js';
import { type OptionSpec, type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { printable } from './text.js';

/** Options of commands that remember uploads on this machine. */
export const CACHE: readonly OptionSpec[] = [
  {
    name: 'cache-dir',
    value: 'DIR',
    help: 'remembers what was uploaded, to dedup',
    fallback: '~/.cache/orbweaver',
  },
  { name: 'cache-size', value: 'BYTES', help: 'most bytes in that folder', fallback: '1GiB' },
  { name: 'no-cache', help: 'neither look there nor remember' },
  { name: 'shard-cache', value: 'DIR', help: 'the former name of --cache-dir' },
];

/** Where the cache is, and how large it may become. @throws USAGE */
export function cacheOptionsOf(
  args: ParsedArgs,
  context: CliContext,
): Pick<ClientOptions, 'shardCacheDir' | 'shardCacheBytes'> {
  const given = args.text('cache-dir') ?? args.text('shard-cache');
  const maxBytes = args.bytes('cache-size');
  if (given === '') throw usage('--cache-dir expected a folder, got ""');
  if (args.flag('no-cache')) {
    if ((given ?? maxBytes) === undefined) return {};
    throw usage('--no-cache cannot be combined with --cache-dir or --cache-size');
  }
  const dir = given === undefined ? defaultCacheDir(context.env) : resolve(context.cwd, given);
  return dir === undefined ? {} : { shardCacheDir: dir, shardCacheBytes: maxBytes };
}

/** The user's folder for what can be made again; undefined: there is none. */
export function defaultCacheDir(env: CliContext['env']): string | undefined {
  const { XDG_CACHE_HOME, HOME, LOCALAPPDATA } = env;
  // The specification of the base folders ignores a relative one.
  if (XDG_CACHE_HOME?.startsWith('/')) return join(XDG_CACHE_HOME, 'orbweaver');
  if (process.platform === 'win32') {
    return LOCALAPPDATA ? join(LOCALAPPDATA, 'orbweaver', 'cache') : undefined;
  }
  return HOME ? join(HOME, '.cache', 'orbweaver') : undefined;
}

/** What to say when the cache is not used although it was to be; null: nothing. */
export function cacheWarning({ cacheProblem }: OrbweaverClient): string | null {
  if (cacheProblem === null) return null;
  return `the cache is not used: ${printable(cacheProblem.message)}; --cache-dir DIR names another folder, --no-cache goes without`;
}
