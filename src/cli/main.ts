#!/usr/bin/env node
import process from 'node:process';
import { compileLater } from './v8-flags.js';

/**
 * The process around `runCli`: the version of Node, signals, streams, exit code. The first signal
 * cancels what runs; the second one, and a call of the system that does not return (a pipe without a
 * writer, a file server that is gone), end the process as that signal does by itself.
 */

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
/** How long a cancelled process may take to end once its command is over. */
const LAST_MS = 1000;

async function main(): Promise<number> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    process.stderr.write(`orbweaver needs Node 20.19 or newer, this is ${process.versions.node}\n`);
    return 2;
  }
  compileLater();
  const { runCli } = await import('./run.js');
  const cancel = new AbortController();
  let received: NodeJS.Signals | null = null;
  const dieBy = (signal: NodeJS.Signals): void => {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  };
  for (const name of Object.keys(SIGNALS)) {
    process.on(name, (signal: NodeJS.Signals) => {
      if (received !== null) dieBy(signal);
      received = signal;
      cancel.abort();
    });
  }
  const code = await runCli(process.argv.slice(2), {
    env: process.env,
    cwd: workingFolder(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    interactive: process.stderr.isTTY === true && process.env['TERM'] !== 'dumb',
    columns: process.stderr.columns ?? 80,
    signal: cancel.signal,
  });
  // Standard input may still hold the process (a terminal, an open pipe): nothing more is read.
  process.stdin.unref?.();
  const signal = received as NodeJS.Signals | null;
  if (signal === null) {
    for (const name of Object.keys(SIGNALS)) process.removeAllListeners(name);
    return code;
  }
  setTimeout(() => dieBy(signal), LAST_MS).unref();
  return code === SIGNALS['SIGINT'] ? (SIGNALS[signal] ?? code) : code;
}

/** A folder that was deleted has no name any more; what is looked up in it is not found then. */
function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    return process.env['PWD'] ?? '/';
  }
}

process.exitCode = await main();
