import { defineCommand, type OptionSpec, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { nearest } from './messages.js';
import { S3_OPTIONS } from './place.js';

type Run = (args: ParsedArgs, context: CliContext) => Promise<number>;

/** What `store` can do: its options besides `--tenant`, and what it is given. */
interface SubCommand {
  readonly options: readonly string[];
  readonly usage: string;
  /** Arguments, where there is no list of them. */
  readonly places: number;
  readonly load: () => Promise<Run>;
}

const SUB_COMMANDS: Readonly<Record<string, SubCommand>> = {
  ls: {
    options: [],
    usage: 'store ls PLACE',
    places: 1,
    load: async () => (await import('./store-files.js')).ls,
  },
  stats: {
    options: [],
    usage: 'store stats PLACE',
    places: 1,
    load: async () => (await import('./store-files.js')).stats,
  },
  rm: {
    options: ['force'],
    usage: 'store rm PLACE HASH… [--force]',
    places: 1,
    load: async () => (await import('./store-files.js')).rm,
  },
  gc: {
    options: ['grace', 'dry-run', 'max-memory'],
    usage: 'store gc PLACE [--grace SECONDS] [--dry-run]',
    places: 1,
    load: async () => (await import('./store-clean.js')).gc,
  },
  scrub: {
    options: ['rate', 'sample', 'resume', 'repair', 'repair-token-file'],
    usage: 'store scrub PLACE [--rate BYTES] [--sample PERCENT] [--resume] [--repair URL]',
    places: 1,
    load: async () => (await import('./store-clean.js')).scrub,
  },
  copy: {
    options: [],
    usage: 'store copy FROM TO',
    places: 2,
    load: async () => (await import('./store-move.js')).copy,
  },
  export: {
    options: ['output'],
    usage: 'store export PLACE HASH… -o ARCHIVE',
    places: 1,
    load: async () => (await import('./store-move.js')).exportCommand,
  },
  import: {
    options: [],
    usage: 'store import PLACE ARCHIVE',
    places: 2,
    load: async () => (await import('./store-move.js')).importCommand,
  },
};

const OPTIONS: readonly OptionSpec[] = [
  ...S3_OPTIONS,
  {
    name: 'tenant',
    value: 'T',
    help: 'only the part of this tenant',
    fallback: 'all of it; rm: the root',
  },
  { name: 'force', help: 'rm: also files that repositories need' },
  {
    name: 'grace',
    value: 'SECONDS',
    help: 'gc: how long what no file needs is kept',
    fallback: '604800, a week',
  },
  { name: 'dry-run', help: 'gc: deletes nothing, says what this run would have deleted' },
  {
    name: 'max-memory',
    value: 'BYTES',
    help: 'gc: for the list of what is in use',
    fallback: '256MiB',
  },
  {
    name: 'rate',
    value: 'BYTES',
    help: 'scrub: most bytes per second that are read',
    fallback: 'none',
  },
  {
    name: 'sample',
    value: 'PERCENT',
    help: 'scrub: reads so many of the objects, others each time',
    fallback: '100',
  },
  { name: 'resume', help: 'scrub: goes on where the last one stopped' },
  {
    name: 'repair',
    value: 'URL',
    help: 'scrub: another store with the same files, to repair xorbs from',
    fallback: 'none',
  },
  {
    name: 'repair-token-file',
    value: 'FILE',
    help: 'scrub: the token for it',
    fallback: '$ORBWEAVER_UPSTREAM_TOKEN',
  },
  { name: 'output', short: 'o', value: 'ARCHIVE', help: 'export: the archive, a ZIP' },
];

export const storeCommand: Command = defineCommand({
  usage: Object.values(SUB_COMMANDS).map((each) => each.usage),
  about: `The upkeep of a gateway's store, while gateways work on it. PLACE is what serve --data names.

  ls      lists the files
  stats   counts files, logical, unique and stored bytes
  rm      removes files that no repository needs; what only they need stays until gc
  gc      deletes what no file needs: a first run finds it, a run after the grace deletes it
  scrub   reads and hashes everything again; exit code 6 when something is damaged
  copy    brings all files of a store into another one; started again it goes on
  export  writes files, with all they need, to one archive
  import  takes such an archive into a store`,
  options: OPTIONS,
  words: Object.keys(SUB_COMMANDS),
  run: store,
});

async function store(args: ParsedArgs, context: CliContext): Promise<number> {
  const [name = '', ...rest] = args.positionals;
  const command = SUB_COMMANDS[name];
  if (command === undefined) {
    const names = Object.keys(SUB_COMMANDS);
    const guess = nearest(name, names);
    throw usage(
      `store expected one of ${names.join(', ')}, got ${name === '' ? 'none' : `"${name}"`}${guess === undefined ? '' : `; did you mean ${guess}?`}`,
    );
  }
  const allowed = [...command.options, 'tenant', ...S3_OPTIONS.map((option) => option.name)];
  for (const option of OPTIONS) {
    const isGiven = args.flag(option.name) || args.text(option.name) !== undefined;
    if (isGiven && !allowed.includes(option.name))
      throw usage(`store ${name} takes no --${option.name}`);
  }
  if (rest.length === 0) throw usage(`expected ${command.usage}`);
  const most = command.usage.includes('…') ? Number.POSITIVE_INFINITY : command.places;
  if (rest.length > most) throw usage(`store ${name} takes no "${rest[most]}"`);
  return (await command.load())(args, context);
}
