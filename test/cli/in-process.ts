import { PassThrough, Readable } from 'node:stream';
import { runCli } from '../../src/cli/run.js';
import type { BinaryOptions, BinaryRun } from './run-binary.js';

/**
 * A command line in this process, with streams and an environment of its own: without the start of a
 * process. What it does must not need a thread: those are programs of the build.
 */
export async function inProcess(
  args: readonly string[],
  { input = new Uint8Array(0), env = {}, cwd = process.cwd() }: BinaryOptions = {},
): Promise<BinaryRun> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const collected = [collect(stdout), collect(stderr)] as const;
  const status = await runCli(args, {
    env,
    cwd,
    stdin: Readable.from([input]),
    stdout,
    stderr,
    interactive: false,
    columns: 80,
    signal: new AbortController().signal,
  });
  stdout.end();
  stderr.end();
  const [out, err] = await Promise.all(collected);
  const lastLine = (text: string): Record<string, unknown> =>
    JSON.parse(text.trimEnd().split('\n').pop() ?? '') as Record<string, unknown>;
  return {
    status,
    stdout: out,
    stderr: err.toString('utf8'),
    json: () => lastLine(out.toString('utf8')),
    errorJson: () => lastLine(err.toString('utf8')),
  };
}

async function collect(stream: PassThrough): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
