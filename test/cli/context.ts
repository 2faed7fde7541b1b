import { PassThrough } from 'node:stream';
import type { CliContext } from '../../src/cli/context.js';

/** A context for commands that run in this process; `drawn` is what went to standard error since. */
export function contextOf(interactive: boolean): CliContext & { drawn: () => string } {
  const stderr = new PassThrough();
  return {
    env: {},
    cwd: '/',
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr,
    interactive,
    columns: 120,
    signal: new AbortController().signal,
    drawn: () => String(stderr.read() ?? ''),
  };
}
