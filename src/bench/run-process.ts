import { spawn } from 'node:child_process';
import process from 'node:process';

/** A command to time as a whole process. */
export interface ProcessCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Text for its standard input. */
  readonly input?: string | undefined;
  /** Killed after this long, which is an error. Milliseconds. @default 600000 */
  readonly timeoutMs?: number | undefined;
}

/** What a process cost and said. */
export interface ProcessRun {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
  /** The last line of its standard output, parsed as JSON: its own account of the run. */
  readonly result: Readonly<Record<string, unknown>>;
}

/**
 * Runs a command that prints, as its last line, a JSON object with `cpuMs` and `peakBytes` of its
 * own: a process knows these exactly, its parent does not. Wall time is taken here and includes the
 * start of the process.
 */
export async function runProcess(command: ProcessCommand): Promise<ProcessRun> {
  const startedAt = performance.now();
  const child = spawn(command.command, [...command.args], {
    env: { ...process.env, ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => out.push(piece));
  child.stderr.on('data', (piece: Buffer) => err.push(piece));
  child.stdin.on('error', () => {});
  child.stdin.end(command.input ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), command.timeoutMs ?? 600_000);
  const status = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  }).finally(() => clearTimeout(timer));
  const wallMs = performance.now() - startedAt;
  if (status !== 0) {
    const said = Buffer.concat(err).toString('utf8').trim().slice(-2000);
    throw new Error(`${command.command} ${command.args.join(' ')} ended with ${status}: ${said}`);
  }
  const last = Buffer.concat(out).toString('utf8').trimEnd().split('\n').pop() ?? '';
  const result: unknown = JSON.parse(last);
  if (typeof result !== 'object' || result === null) throw new Error(`no JSON object: ${last}`);
  const fields = result as Record<string, unknown>;
  return {
    wallMs,
    cpuMs: Number(fields['cpuMs']),
    peakBytes: Number(fields['peakBytes']),
    result: fields,
  };
}
