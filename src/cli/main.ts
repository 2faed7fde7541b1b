#!/usr/bin/env node
import process from 'node:process';
import { EXIT } from '../errors.js';
import { runCli } from './run.js';

/**
 * The process around `runCli`: signals, streams, exit code. The first SIGINT or SIGTERM cancels, the
 * second exits at once.
 */
const cancel = new AbortController();
const onSignal = (): void => {
  if (cancel.signal.aborted) process.exit(EXIT.interrupted);
  cancel.abort();
};
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// A reader that went away (`orbweaver chunk FILE | head`) is no fault of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
});

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  interactive: process.stderr.isTTY === true && process.env['TERM'] !== 'dumb',
  columns: process.stderr.columns ?? 80,
  signal: cancel.signal,
});
process.off('SIGINT', onSignal);
process.off('SIGTERM', onSignal);
// Standard input may still hold the process (a terminal, an open pipe): nothing more is read.
process.stdin.unref?.();
