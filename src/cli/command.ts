import { type ParseArgsConfig, parseArgs } from 'node:util';
import { OrbweaverError } from '../errors.js';
import type { CliContext, Command } from './context.js';
import { nearest } from './messages.js';

/** One option of a command: what parses it, explains it and completes it. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in the help. Without one it is a flag. */
  readonly value?: string;
  readonly help: string;
  /** What holds without it, as the help says it. */
  readonly fallback?: string;
  /** The only values that it takes. */
  readonly choices?: readonly string[];
  /** May be given several times. @default false: the last one counts */
  readonly isRepeatable?: boolean;
}

/** A command as data. */
export interface CommandSpec {
  /** Command lines without the name of the program, one for each way of use. */
  readonly usage: readonly string[];
  /** What it does. */
  readonly about: string;
  readonly options: readonly OptionSpec[];
  /** What its first argument may be, for completions. @default anything, such as a file */
  readonly words?: readonly string[];
  /** What else the help says, after the options. */
  readonly notes?: string;
  readonly run: (args: ParsedArgs, context: CliContext) => Promise<number>;
}

/** What a command line held, by kind. */
export interface ParsedArgs {
  readonly positionals: readonly string[];
  /** Names of the options that the command line itself has. */
  readonly given: readonly string[];
  readonly flag: (name: string) => boolean;
  readonly text: (name: string) => string | undefined;
  /** Values of an option that may be given several times, in order. */
  readonly texts: (name: string) => readonly string[];
  /** A non-negative whole number. @throws USAGE */
  readonly count: (name: string) => number | undefined;
  /** Bytes: a number with an optional suffix KiB, MiB, GiB, kB, MB or GB. @throws USAGE */
  readonly bytes: (name: string) => number | undefined;
}

export type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** Options that every command understands. */
export const COMMON: readonly OptionSpec[] = [
  {
    name: 'json',
    help: 'machine-readable result: one line of JSON, the last one on standard output; --json=stream tells the progress, too, where there is any',
  },
  { name: 'quiet', short: 'q', help: 'no progress, only the result' },
  { name: 'verbose', help: 'details: causes of errors, requests that are repeated' },
  { name: 'help', short: 'h', help: 'this text' },
];

/** Options of every command that talks to a server. */
export const SERVER: readonly OptionSpec[] = [
  {
    name: 'endpoint',
    value: 'URL',
    help: 'content-addressed store to talk to',
    fallback: '$ORBWEAVER_ENDPOINT',
  },
  { name: 'token', value: 'T', help: 'bearer token for it', fallback: '$ORBWEAVER_TOKEN' },
];

/** How a server is reached. */
export const NETWORK: readonly OptionSpec[] = [
  {
    name: 'proxy',
    value: 'URL',
    help: 'HTTP proxy for all requests, or none',
    fallback: '$HTTPS_PROXY, $HTTP_PROXY, $ALL_PROXY',
  },
  {
    name: 'ca',
    value: 'FILE',
    help: 'authorities to trust besides the built-in ones, PEM',
    fallback: '$SSL_CERT_FILE',
  },
];

export const TOKEN_FILE: OptionSpec = {
  name: 'token-file',
  value: 'FILE',
  help: 'the token, read from a file; read again when it is refused',
};

export const TOKEN_URL: OptionSpec = {
  name: 'token-url',
  value: 'URL',
  help: 'URL that gives tokens for the store; the token is sent to it instead',
};

/** Caps of what a command moves, and at how many requests at a time. */
export const LIMITS: readonly OptionSpec[] = [
  { name: 'limit-upload', value: 'BYTES', help: 'most bytes per second sent, such as 2MiB' },
  { name: 'limit-download', value: 'BYTES', help: 'most bytes per second fetched' },
  {
    name: 'concurrency',
    value: 'N',
    help: 'requests of a transfer at a time, 1 to 256',
    fallback: 'what moves the most bytes',
  },
];

export const TIER: OptionSpec = {
  name: 'tier',
  value: 'T',
  help: 'kernels: auto, simd, portable, readable',
  choices: ['auto', 'simd', 'portable', 'readable'],
};

export const MAX_MEMORY: OptionSpec = {
  name: 'max-memory',
  value: 'BYTES',
  help: 'bound on all buffers, such as 96MiB',
  fallback: 'smaller of 96 MiB and 1/8 of memory',
};

/** Options of every command that computes. */
export const COMPUTE: readonly OptionSpec[] = [
  { name: 'workers', value: 'N', help: 'worker threads, 0 for none', fallback: 'one per core' },
  MAX_MEMORY,
  TIER,
];

/** The table of exit codes, in the overview; the numbers live in errors.ts. */
export const EXIT_CODES_HELP: string = `Exit codes:
  0    done
  1    a fault of orbweaver itself
  2    wrong command line, option or hash
  3    an input is missing, unreadable, changed or unsafe
  4    the server refused the token
  5    the server does not have the file
  6    data is damaged: a hash, size or format is wrong
  7    the network or the server failed
  8    the disk is full or cannot be written, or nobody read all of standard output
  9    some files failed, the others are done; bench: a contender failed
  10   bench --fail-on-regression: a figure is worse than before, beyond the noise
  129, 130, 143  interrupted by SIGHUP, SIGINT, SIGTERM; a second signal ends the process at once`;

/** What the help of one command says of them. */
export const EXIT_CODES_LINE =
  'Exit codes: 0 is done, all others are failures; orbweaver --help lists them.';

/** A command that parses, explains and completes itself by its table of options. */
export function defineCommand(spec: CommandSpec): Command {
  const own = spec.options.map(({ name }) => name);
  const options = [...spec.options, ...COMMON.filter(({ name }) => !own.includes(name))];
  const [first, ...others] = spec.usage.map((line) => `orbweaver ${line}`);
  return {
    options,
    words: spec.words ?? [],
    help: [
      ['Usage: '.concat(first ?? ''), ...others.map((line) => `       ${line}`)].join('\n'),
      spec.about,
      `Options:\n${optionsHelp(options)}`,
      ...(spec.notes === undefined ? [] : [spec.notes]),
      `${EXIT_CODES_LINE}\n`,
    ].join('\n\n'),
    run: (argv, context) => spec.run(parse(argv, options), context),
  };
}

const NAME_WIDTH = 24;
const HELP_WIDTH = 38;

/** One line for each option, its default in brackets. */
export function optionsHelp(options: readonly OptionSpec[]): string {
  return options
    .map(({ name, short, value, help, fallback }) => {
      const both = `  ${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
      const left = both.length < NAME_WIDTH - 1 ? both.padEnd(NAME_WIDTH) : `${both}  `;
      if (fallback === undefined) return `${left}${help}`;
      const right = help.length < HELP_WIDTH - 1 ? help.padEnd(HELP_WIDTH) : `${help}  `;
      return `${left}${right}[${fallback}]`;
    })
    .join('\n');
}

/** The same options as Node's parser takes them. */
export function tableOf(options: readonly OptionSpec[]): OptionTable {
  return Object.fromEntries(
    options.map(({ name, short, value, isRepeatable = false }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: isRepeatable,
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
}

function parse(argv: readonly string[], options: readonly OptionSpec[]): ParsedArgs {
  const args = parseWith(argv, tableOf(options));
  for (const { name, choices } of options) {
    const value = args.text(name);
    if (value === undefined || choices === undefined || choices.includes(value)) continue;
    throw usage(`--${name} expected one of ${choices.join(', ')}, got "${value}"`);
  }
  return args;
}

/** Strict parse: an unknown option is an error that names it. @throws OrbweaverError USAGE */
export function parseWith(args: readonly string[], options: OptionTable): ParsedArgs {
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: args.map((arg, i) => (isStreamFlag(args, i) ? '--json-stream' : arg)),
      options: { ...options, 'json-stream': { type: 'boolean' } },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    throw usage(parserText(error, Object.keys(options)));
  }
  const text = (name: string): string | undefined => {
    const value = parsed.values[name];
    return typeof value === 'string' ? value : undefined;
  };
  const read = <T>(name: string, convert: (name: string, value: string) => T): T | undefined => {
    const value = text(name);
    return value === undefined ? undefined : convert(name, value);
  };
  return {
    positionals: parsed.positionals,
    given: Object.keys(parsed.values),
    flag: (name) =>
      parsed.values[name] === true || (name === 'json' && parsed.values['json-stream'] === true),
    text,
    texts: (name) => {
      const value = parsed.values[name];
      return Array.isArray(value) ? value.map(String) : [];
    },
    count: (name) => read(name, parseCount),
    bytes: (name) => read(name, parseBytes),
  };
}

/** The same, with `more` for what the command line does not have. */
export function withMore(args: ParsedArgs, more: (name: string) => string | undefined): ParsedArgs {
  const read = <T>(
    name: string,
    given: T | undefined,
    convert: (name: string, value: string) => T,
  ): T | undefined => {
    const value = given === undefined ? more(name) : undefined;
    return value === undefined ? given : convert(name, value);
  };
  return {
    ...args,
    text: (name) => args.text(name) ?? more(name),
    count: (name) => read(name, args.count(name), parseCount),
    bytes: (name) => read(name, args.bytes(name), parseBytes),
  };
}

/** What Node's parser found, in our words and with what was meant most likely. */
function parserText(error: unknown, names: readonly string[]): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const name = /'(?:-\w, )?(--?[^\s'=]+)/.exec(message)?.[1] ?? '';
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const guess = name.startsWith('--') ? nearest(name.slice(2), names) : undefined;
    return `there is no option ${name}${guess === undefined ? '' : `; did you mean --${guess}?`}`;
  }
  if (code !== 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE') return message;
  if (name === '--json') return '--json expected no value, or "stream" as in --json=stream';
  if (message.includes('does not take')) return `${name} expected no value`;
  const dashed = `one that begins with a dash is written ${name}=-…`;
  return `${name} expected a value${message.includes('ambiguous') ? `; ${dashed}` : ''}`;
}

/** `--json=stream`, which Node's parser does not take: `--json` alone is a flag. */
export function isStreamFlag(args: readonly string[], index: number): boolean {
  const end = args.indexOf('--');
  return args[index] === '--json=stream' && (end < 0 || index < end);
}

function parseCount(name: string, value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw usage(`--${name} expected a whole number, got "${value}"`);
  return Number(value);
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  kb: 1000,
  mb: 1e6,
  gb: 1e9,
};

/** Bytes as options take them. @throws USAGE */
export function parseBytes(name: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value);
  const unit = match ? UNITS[(match[2] as string).toLowerCase()] : undefined;
  if (!match || unit === undefined) {
    throw usage(`--${name} expected bytes such as 96MiB, got "${value}"`);
  }
  const bytes = Math.round(Number(match[1]) * unit);
  if (!Number.isSafeInteger(bytes)) {
    throw usage(`--${name} expected at most ${Number.MAX_SAFE_INTEGER} bytes, got "${value}"`);
  }
  return bytes;
}

export function usage(message: string): OrbweaverError {
  return new OrbweaverError('USAGE', message);
}
