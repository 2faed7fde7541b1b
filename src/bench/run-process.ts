import { spawn } from 'node:child_process';
import process from 'node:process';

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
/** What is kept of either output: the end, where the reply and the reason of a failure are. */
const KEPT_OUTPUT_BYTES = 8 * 1024 * 1024;

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
  command.signal?.throwIfAborted();
  // Node reads and parses the file that this names at every start, 65 ms for a system's bundle, which
  // says nothing about a contender: who needs one names it.
  const { NODE_EXTRA_CA_CERTS: _, ...inherited } = process.env;
  const env = { ...inherited, ...command.env };
  const startedAt = performance.now();
  const child = spawn(command.command, [...command.args], {
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const out = createTail();
  const err = createTail();
  child.stdout.on('data', out.push);
  child.stderr.on('data', err.push);
  // A child that ended early does not read; its status tells.
  child.stdin.on('error', () => {});
  child.stdin.end(command.input ?? '');
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const timer = setTimeout(kill, command.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  command.signal?.addEventListener('abort', kill, { once: true });
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  }).finally(() => {
    clearTimeout(timer);
    command.signal?.removeEventListener('abort', kill);
  });
  const wallMs = performance.now() - startedAt;
  command.signal?.throwIfAborted();
  if (status !== 0) {
    throw new Error(`it ended with ${status}: ${reasonIn(err.text()) || 'it said nothing'}`);
  }
  const result = lastObject(out.text());
  const { cpuMs, peakBytes } = result;
  if (typeof cpuMs !== 'number' || typeof peakBytes !== 'number') {
    throw new Error('it gave no account of its time and memory');
  }
  return { wallMs, cpuMs, peakBytes, result };
}

/** The line of an uncaught error in what Node or Python printed, else the end of it. */
function reasonIn(text: string): string {
  const lines = text.trim().split('\n');
  const named = lines.filter((line) => /^(\w|\.)*(Error|Exception)\b.*: /.test(line));
  return (named.pop() ?? lines.slice(-3).join(' ')).trim().slice(0, 500);
}

function lastObject(text: string): Readonly<Record<string, unknown>> {
  const last = text.trimEnd().split('\n').pop() ?? '';
  let value: unknown;
  try {
    value = JSON.parse(last);
  } catch {
    value = null;
  }
  if (typeof value !== 'object' || value === null) {
    throw new Error(`its last line expected a JSON object, got "${last.slice(0, 200)}"`);
  }
  return value as Record<string, unknown>;
}

interface Tail {
  readonly push: (piece: Buffer) => void;
  readonly text: () => string;
}

/** Collects output without keeping more than its end. */
function createTail(): Tail {
  const pieces: Buffer[] = [];
  let bytes = 0;
  return {
    push: (piece) => {
      pieces.push(piece);
      bytes += piece.length;
      while (pieces.length > 1 && bytes - (pieces[0] as Buffer).length >= KEPT_OUTPUT_BYTES) {
        bytes -= pieces.shift()?.length ?? 0;
      }
    },
    text: () => Buffer.concat(pieces).toString('utf8'),
  };
}
