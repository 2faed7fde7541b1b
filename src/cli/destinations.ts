import { CACHE } from './cache.js';
import {
  COMMON,
  COMPUTE,
  LIMITS,
  NETWORK,
  type OptionSpec,
  type ParsedArgs,
  SERVER,
  TOKEN_FILE,
  TOKEN_URL,
  usage,
} from './command.js';
import { FOLDER_DOWNLOAD, FOLDER_UPLOAD } from './folder-options.js';
import { HUB_DOWNLOAD, HUB_UPLOAD } from './hub-options.js';
import { STATE } from './state.js';
import { UPLOAD_TO_OPTIONS } from './upload-to-options.js';

/**
 * `upload` and `download` have several kinds of destinations, and no option is for all of them. These tables
 * say which are for which; any other one is refused, because a command that ignores what it was told does
 * something else than was meant.
 */

/** Options by what a command line is about; the keys are what messages call that. */
export type Destinations<K extends string> = Readonly<Record<K, readonly string[]>>;

const names = (options: readonly OptionSpec[]): readonly string[] =>
  options.map(({ name }) => name);

const REACHED = names([...SERVER, TOKEN_FILE, ...NETWORK, ...LIMITS, ...COMPUTE]);
const STATE_NAMES = names(STATE);
const SENT = [
  ...REACHED,
  ...names(CACHE),
  ...STATE_NAMES,
  ...['base', 'placement', 'grants', 'rehash', 'max-xorb-bytes', 'dry-run'],
];
const SENT_TO_STORE = [...SENT, TOKEN_URL.name, 'sha256'];
const OF_HUB_FOLDERS = ['include', 'delete-removed'];
const SENT_TO_HUB = [
  ...SENT,
  ...names(HUB_UPLOAD).filter((name) => !OF_HUB_FOLDERS.includes(name)),
];

export type UploadKind = 'files' | 'folders' | 'files to hf://' | 'folders to hf://' | '--to';

export const UPLOADS: Destinations<UploadKind> = {
  files: [...SENT_TO_STORE, 'expand', 'allow-append'],
  folders: [...SENT_TO_STORE, ...names(FOLDER_UPLOAD)],
  'files to hf://': SENT_TO_HUB,
  'folders to hf://': [...SENT_TO_HUB, ...OF_HUB_FOLDERS, ...names(FOLDER_UPLOAD)],
  '--to': [
    ...names(UPLOAD_TO_OPTIONS),
    ...names(NETWORK),
    ...STATE_NAMES,
    ...['token', 'limit-upload', 'max-memory'],
  ],
};

const FETCHED = [...REACHED, ...STATE_NAMES, TOKEN_URL.name];

export type DownloadKind = 'whole files' | 'ranges' | '--zip' | 'folders' | 'hf://';

export const DOWNLOADS: Destinations<DownloadKind> = {
  'whole files': [...FETCHED, 'output', 'seed', 'dry-run'],
  ranges: [...FETCHED, 'output', 'offset', 'length', 'verify-range', 'dry-run'],
  '--zip': [...FETCHED, 'zip', 'dry-run'],
  folders: [...FETCHED, 'output', 'seed', 'dry-run', ...names(FOLDER_DOWNLOAD)],
  'hf://': [...REACHED, ...STATE_NAMES, 'output', 'names', ...names(HUB_DOWNLOAD)],
};

const ALWAYS = [...names(COMMON), 'json-stream'];

/**
 * Refuses options that are not for what a command line is about.
 * @param kinds those that it may still turn out to be
 * @throws USAGE that names the first such option
 */
export function checkDestination<K extends string>(
  args: ParsedArgs,
  table: Destinations<K>,
  ...kinds: readonly K[]
): void {
  const wrong = args.given.find(
    (name) => !ALWAYS.includes(name) && !kinds.some((kind) => table[kind].includes(name)),
  );
  if (wrong === undefined) return;
  const others = (Object.keys(table) as K[]).filter((kind) => table[kind].includes(wrong));
  throw usage(`--${wrong} is for ${listOf(others)}, not for ${listOf(kinds)}`);
}

/** `a, b and c` */
function listOf(texts: readonly string[]): string {
  return [texts.slice(0, -1).join(', '), ...texts.slice(-1)]
    .filter((text) => text !== '')
    .join(' and ');
}
