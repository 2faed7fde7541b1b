import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compiled } from '../support/dist.js';

/** The compiled command line, as a user runs it. */
export const BINARY: string = fileURLToPath(new URL('cli/main.js', compiled()));

export interface BinaryRun {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** The last line of standard output, parsed. */
  readonly json: () => Record<string, unknown>;
  /** The last line of standard error, parsed. */
  readonly errorJson: () => Record<string, unknown>;
}

export interface BinaryOptions {
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/**
 * The environment of the tests without what whoever runs them has there: settings, cache, transfers. Where
 * there is no home nothing is remembered.
 */
export function cleanEnv(): NodeJS.ProcessEnv {
  const { ORBWEAVER_ENDPOINT: _, ORBWEAVER_TOKEN: __, ...env } = process.env;
  for (const name of ['HOME', 'USERPROFILE', 'XDG_CACHE_HOME', 'XDG_STATE_HOME']) delete env[name];
  return env;
}

/** Starts it and lets it run. */
export function start(
  args: readonly string[],
  options: BinaryOptions,
): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [BINARY, ...args], {
    env: { ...cleanEnv(), ...options.env },
    cwd: options.cwd,
  });
}

/** Runs it to its end. */
export async function orbweaver(
  args: readonly string[],
  options: BinaryOptions = {},
): Promise<BinaryRun> {
  const child = start(args, options);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => out.push(piece));
  child.stderr.on('data', (piece: Buffer) => err.push(piece));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const stdout = Buffer.concat(out);
  const stderr = Buffer.concat(err).toString('utf8');
  return {
    status,
    stdout,
    stderr,
    json: () => lastLine(stdout.toString('utf8')),
    errorJson: () => lastLine(stderr),
  };
}

function lastLine(text: string): Record<string, unknown> {
  const line = text.trimEnd().split('\n').pop() ?? '';
  return JSON.parse(line) as Record<string, unknown>;
}

export interface Served {
  readonly url: string;
  readonly readToken: string;
  readonly writeToken: string;
  /** SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has written there so far; all of it when `ended` has resolved. */
  readonly stderr: () => string;
  /** Exit code, or the signal by which it ended. */
  readonly ended: Promise<[number | null, string | null]>;
}

/** `serve --json` until it has printed its first line. */
export async function serve(args: readonly string[], options: BinaryOptions = {}): Promise<Served> {
  const child = start(['serve', '--json', ...args], options);
  const ended = new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  let errors = '';
  child.stderr.on('data', (piece: Buffer) => {
    errors += piece.toString('utf8');
  });
  const line = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (piece: Buffer) => {
      text += piece.toString('utf8');
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
    });
    child.once('close', (code) => reject(new Error(`serve ended with ${code}: ${errors}`)));
  });
  const parsed = JSON.parse(line) as { url: string; readToken: string; writeToken: string };
  return {
    ...parsed,
    child,
    ended,
    stderr: () => errors,
    async stop() {
      child.kill('SIGTERM');
      return (await ended)[0];
    },
  };
}
