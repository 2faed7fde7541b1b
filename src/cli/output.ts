import type { Writable } from 'node:stream';
import {
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  EXIT,
  isOrbweaverError,
} from '../errors.js';
import { sayingOf } from './messages.js';
import { printable } from './text.js';

/** One line of JSON: the machine-readable form of every command. */
export function writeJson(stream: Writable, value: object): void {
  stream.write(`${JSON.stringify(value)}\n`);
}

/** Resolves when all that was written so far has left the process (pipes are asynchronous). */
export async function flush(stream: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write('', () => resolve());
  });
  // An error is told in the turn after the write that met it.
  await new Promise((resolve) => setImmediate(resolve));
}

/** A failure as the CLI reports it. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: number;
  /** Of the response that it failed with; null or absent: there was none. */
  readonly status?: number | null;
  /** What the server calls the request; null or absent: it did not say. */
  readonly requestId?: string | null;
}

/** What to say about anything that was thrown, while `command` ran. Never a stack trace. */
export function failureOf(error: unknown, command?: string): Failure {
  if (isOrbweaverError(error)) {
    const { code, fields } = error;
    const saying = sayingOf({ code, message: oneLine(error.message), fields }, command);
    return { code, ...saying, exitCode: ERROR_CODES[code].exitCode, ...responseOf(fields) };
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return rowOf('ABORTED', ERROR_CODES.ABORTED.sentence);
  }
  if (error instanceof Error && 'syscall' in error && 'code' in error) {
    return rowOf('STORAGE_FAILED', systemText(error as NodeJS.ErrnoException));
  }
  return rowOf(
    'INTERNAL',
    error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  );
}

/** The result could not be written: the disk is full, or its reader went away. */
export function outputFailure(error: NodeJS.ErrnoException): Failure {
  const message =
    error.code === 'EPIPE'
      ? 'standard output was closed by its reader before all was written (EPIPE)'
      : `standard output cannot be written: ${systemText(error)}`;
  return rowOf(error.code === 'ENOSPC' ? 'DISK_FULL' : 'OUTPUT_UNWRITABLE', message);
}

function rowOf(code: ErrorCode, message: string): Failure {
  const saying = sayingOf({ code, message: oneLine(message) }, undefined);
  return { code, ...saying, exitCode: ERROR_CODES[code].exitCode };
}

/** What the system said, in words and with the path. */
function systemText({ code = '', path, syscall, message }: NodeJS.ErrnoException): string {
  const words: Readonly<Record<string, string>> = {
    EACCES: 'no permission',
    EPERM: 'no permission',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    ENOENT: 'no such file or folder',
    EMFILE: 'too many open files',
  };
  const text = words[code];
  if (text === undefined) return message;
  return `${path === undefined ? (syscall ?? '') : `"${path}"`}: ${text} (${code})`;
}

/** What a server can find the request by. */
function responseOf({ status, requestId }: ErrorFields): Pick<Failure, 'status' | 'requestId'> {
  return {
    status: typeof status === 'number' ? status : null,
    requestId: typeof requestId === 'string' ? requestId : null,
  };
}

/** Reports a failure on standard error, as one JSON line or as two lines for people. */
export function reportFailure(stream: Writable, failure: Failure, json: boolean): void {
  const { code, message, hint, status = null, requestId = null } = failure;
  if (json) writeJson(stream, { type: 'error', code, message, hint, status, requestId });
  else stream.write(`${sentenceOf(failure)}\n  ${hint}\n`);
}

/** One code for people, ours: what the system calls it stands there in words already. */
function sentenceOf({ code, message, status, requestId }: Failure): string {
  const isNew = typeof status === 'number' && status >= 300 && !message.includes(String(status));
  const facts = [
    code,
    ...(isNew ? [`status ${status}`] : []),
    ...(typeof requestId === 'string' ? [`request ${requestId}`] : []),
  ];
  const text = message.replace(/ \(E[A-Z0-9]+\)$/, '');
  return `orbweaver: ${printable(`${text} (${facts.join(', ')})`)}`;
}

/** A failure of one file among several; `fields` are those of the error, where they are known. */
export interface FailedFile extends Failure {
  readonly path: string;
  readonly fields?: ErrorFields;
}

/** `failed` of a result, where something failed: a part of the contract of docs/cli.md. */
export function failedJson(
  failed: readonly Pick<FailedFile, 'path' | 'code' | 'message' | 'status' | 'requestId'>[],
): object {
  if (failed.length === 0) return {};
  return {
    failed: failed.map(({ path, code, message, status = null, requestId = null }) => ({
      ...{ path, code, message, status, requestId },
    })),
  };
}

/** Exit code and report when all or some of several files failed. */
export function reportFailed(
  stream: Writable,
  failed: readonly FailedFile[],
  { json, doneCount }: { readonly json: boolean; readonly doneCount: number },
): number {
  const told = failed.map((one) => ({
    ...one,
    ...sayingOf(one, undefined),
    ...(one.fields === undefined ? {} : responseOf(one.fields)),
  }));
  const [first] = told;
  if (first === undefined) return EXIT.ok;
  if (doneCount === 0 && told.length === 1) {
    reportFailure(stream, first, json);
    return first.exitCode;
  }
  if (!json) {
    for (const failure of told) stream.write(`${sentenceOf(failure)}\n`);
    for (const hint of new Set(told.map(({ hint }) => hint))) stream.write(`  ${hint}\n`);
  } else if (doneCount === 0) reportFailure(stream, first, json);
  return doneCount === 0 ? first.exitCode : EXIT.partial;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
