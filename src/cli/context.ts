import type { Readable, Writable } from 'node:stream';
import type { OptionSpec } from './command.js';

/**
 * All that a command may touch of its process. Commands get it as an argument, so that tests run
 * them in process with their own streams and environment.
 */
export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** True when standard error is a terminal: progress bars are drawn there and only there. */
  readonly interactive: boolean;
  /** Width of that terminal in columns. */
  readonly columns: number;
  /** Aborted on SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
}

/** One command of the CLI; its name and summary stand in the list of `run.ts`. */
export interface Command {
  /** The whole help text, exit codes included. */
  readonly help: string;
  /** What it understands, for completions; those of a help written by hand are read from it. */
  readonly options: readonly OptionSpec[];
  /** What its first argument may be, for completions; none: anything, such as a file. */
  readonly words: readonly string[];
  /** Runs it; resolves to the exit code, or throws what `run` turns into a message. */
  run(args: readonly string[], context: CliContext): Promise<number>;
}
