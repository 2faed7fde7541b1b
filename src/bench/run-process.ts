import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';

/** A command to time as a whole process. */
export interface ProcessCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** On top of the environment of this process, from which `NODE_EXTRA_CA_CERTS` is left out. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Text for its standard input. */
  readonly input?: string | undefined;
  /** Killed after this long, which is an error. Milliseconds. @default 1800000 */
  readonly timeoutMs?: number | undefined;
  /** Kills it. */
  readonly signal?: AbortSignal | undefined;
}

/** What a process cost and said. */
export interface ProcessRun {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
  /** The last line of its standard output, parsed as JSON: its own account of the run. */
  readonly result: Readonly<Record<string, unknown>>;
}

const DEFAULT_TIMEOUT_MS = 30 * 60_000;
/** More than the hashes of a hundred thousand files. A process that prints more is killed. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;
const run = promisify(execFile);

/**
 * Runs a command that prints, as its last line, a JSON object with `cpuMs` and `peakBytes` of its
 * own: a process knows these exactly, its parent does not. Wall time is taken here and includes the
 * start of the process.
 *
 * @throws Error when it cannot be started, ends with another status than 0, is killed, or says
 *   nothing that can be read
 * @example
 * const { wallMs } = await runProcess({
 *   command: process.execPath,
 *   args: ['-e', 'console.log(JSON.stringify({ cpuMs: 1, peakBytes: 1 }))'],
 * });
 */
export async function runProcess(command: ProcessCommand): Promise<ProcessRun> {
  const { args, input = '', timeoutMs: timeout = DEFAULT_TIMEOUT_MS, signal } = command;
  signal?.throwIfAborted();
  // Node reads and parses the file that this names at every start, 65 ms for a system's bundle, which
  // says nothing about a contender: who needs one names it.
  const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env;
  const env = { ...inherited, ...command.env };
  const limits = { timeout, signal, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  const startedAt = performance.now();
  const running = run(command.command, args, { env, ...limits });
  // A child that ended early does not read; its status tells.
  running.child.stdin?.on('error', () => {}).end(input);
  const { stdout } = await running.catch((error: Failure) => {
    signal?.throwIfAborted();
    if (error.stderr === undefined) throw error;
    const status = error.killed === true ? 'SIGKILL' : (error.code ?? error.signal);
    throw new Error(`it ended with ${status}: ${reasonIn(error.stderr) || 'it said nothing'}`);
  });
  const wallMs = performance.now() - startedAt;
  const result = lastObject(stdout);
  const { cpuMs, peakBytes } = result;
  if (typeof cpuMs !== 'number' || typeof peakBytes !== 'number') {
    throw new Error('it gave no account of its time and memory');
  }
  return { wallMs, cpuMs, peakBytes, result };
}

/** What `execFile` says of a process that did not end well; of one that never started, no more than an error. */
interface Failure extends Error {
  readonly code?: number | string | null;
  readonly killed?: boolean;
  readonly signal?: string | null;
  readonly stderr?: string;
}

/** The line of an uncaught error in what Node or Python printed, else the end of it. */
function reasonIn(text: string): string {
  const lines = text.trim().split('\n');
  const named = lines.filter((line) => /^(\w|\.)*(Error|Exception)\b.*: /.test(line));
  return (named.pop() ?? lines.slice(-3).join(' ')).trim().slice(0, 500);
}

function lastObject(text: string): Readonly<Record<string, unknown>> {
  const last = text.trimEnd().split('\n').pop() ?? '';
  try {
    const value: unknown = JSON.parse(last);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new Error(`its last line expected a JSON object, got "${last.slice(0, 200)}"`);
}
