import type { Writable } from 'node:stream';
import { ERROR_CODES, EXIT, isOrbweaverError } from '../errors.js';

/** One line of JSON: the machine-readable form of every command. */
export function writeJson(stream: Writable, value: object): void {
  stream.write(`${JSON.stringify(value)}\n`);
}

/** Resolves when all that was written so far has left the process (pipes are asynchronous). */
export function flush(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write('', () => resolve());
  });
}

/** A failure as the CLI reports it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: number;
}

/** What to say about anything that was thrown. Never a stack trace. */
export function failureOf(error: unknown): Failure {
  if (isOrbweaverError(error)) {
    return {
      code: error.code,
      message: oneLine(error.message),
      hint: error.hint,
      exitCode: ERROR_CODES[error.code].exitCode,
    };
  }
  if (error instanceof Error && error.name === 'AbortError') {
    const { sentence, hint } = ERROR_CODES.ABORTED;
    return { code: 'ABORTED', message: sentence, hint, exitCode: EXIT.interrupted };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const { hint } = ERROR_CODES.INTERNAL;
  return { code: 'INTERNAL', message: oneLine(message), hint, exitCode: EXIT.internal };
}

/** Reports a failure on standard error, as one JSON line or as two lines for people. */
export function reportFailure(stream: Writable, failure: Failure, json: boolean): void {
  const { code, message, hint } = failure;
  if (json) writeJson(stream, { type: 'error', code, message, hint });
  else stream.write(`orbweaver: ${message} (${code})\n  ${hint}\n`);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
