import { PassThrough, Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { BinaryOptions, BinaryRun } from './run-binary.js';
import { runCli } from './run-cli.js';

/**
 * A command line in this process, with streams and an environment of its own: without the half second of
 * CPU time that the start of a process takes.
 */
export async function inProcess(
  args: readonly string[],
  {
    input = new Uint8Array(0),
    env = {},
    cwd = process.cwd(),
    signal = new AbortController().signal,
  }: BinaryOptions & { readonly signal?: AbortSignal } = {},
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
    signal,
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

/** All that was written, also where the command gave up in the middle: whoever reads sees an end there. */
async function collect(stream: PassThrough): Promise<Buffer> {
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  await finished(stream, { writable: false }).catch(() => {});
  return Buffer.concat(pieces);
}
