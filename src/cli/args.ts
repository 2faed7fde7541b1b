import { type ParseArgsConfig, parseArgs } from 'node:util';
import { OrbweaverError } from '../errors.js';
import type { CliContext } from './context.js';

type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** What a command line held, by kind. */
export interface ParsedArgs {
  readonly positionals: readonly string[];
  readonly flag: (name: string) => boolean;
  readonly text: (name: string) => string | undefined;
  /** Values of an option that may be given several times, in order. */
  readonly texts: (name: string) => readonly string[];
  /** A non-negative whole number. @throws USAGE */
  readonly count: (name: string) => number | undefined;
  /** Bytes: a number with an optional suffix KiB, MiB, GiB, kB, MB or GB. @throws USAGE */
  readonly bytes: (name: string) => number | undefined;
}

/** Options that every command understands. */
const COMMON: OptionTable = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  verbose: { type: 'boolean' },
};

/** Options of every command that talks to a server. */
export const SERVER_OPTIONS: OptionTable = {
  endpoint: { type: 'string' },
  token: { type: 'string' },
};

/** Options of every command that computes. */
export const COMPUTE_OPTIONS: OptionTable = {
  workers: { type: 'string' },
  'max-memory': { type: 'string' },
  tier: { type: 'string' },
};

/** Strict parse: an unknown option is an error that names it. @throws OrbweaverError USAGE */
export function readArgs(args: readonly string[], options: OptionTable): ParsedArgs {
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...args],
      options: { ...COMMON, ...options },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new OrbweaverError('USAGE', text.split('. To specify')[0] as string);
  }
  const text = (name: string): string | undefined => {
    const value = parsed.values[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    positionals: parsed.positionals,
    flag: (name) => parsed.values[name] === true,
    text,
    texts: (name) => {
      const value = parsed.values[name];
      return Array.isArray(value) ? value.map(String) : [];
    },
    count: (name) => {
      const value = text(name);
      if (value === undefined) return undefined;
      if (!/^\d{1,15}$/.test(value))
        throw usage(`--${name} expected a whole number, got "${value}"`);
      return Number(value);
    },
    bytes: (name) => {
      const value = text(name);
      return value === undefined ? undefined : parseBytes(name, value);
    },
  };
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

function parseBytes(name: string, value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(value);
  const unit = match ? UNITS[(match[2] as string).toLowerCase()] : undefined;
  if (!match || unit === undefined) {
    throw usage(`--${name} expected bytes such as 96MiB, got "${value}"`);
  }
  return Math.round(Number(match[1]) * unit);
}

/** Endpoint and token from the options, else from the environment. @throws USAGE */
export function serverOf(
  args: ParsedArgs,
  context: CliContext,
): { endpoint: string; token: string | undefined } {
  const endpoint = args.text('endpoint') ?? context.env['ORBWEAVER_ENDPOINT'];
  if (endpoint === undefined || endpoint === '') {
    throw usage('no endpoint: pass --endpoint URL or set ORBWEAVER_ENDPOINT');
  }
  return { endpoint, token: args.text('token') ?? (context.env['ORBWEAVER_TOKEN'] || undefined) };
}

export function usage(message: string): OrbweaverError {
  return new OrbweaverError('USAGE', message);
}
