import { basename } from 'node:path';
import type { Writable } from 'node:stream';
import { type Clock, Speed, secondsLeft } from '../flow/index.js';
import type { DownloadProgress, RetryEvent, UploadProgress } from '../index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { ParsedArgs } from './command.js';
import type { CliContext } from './context.js';
import { writeJson } from './output.js';
import { createProgressBar, type ProgressBar } from './progress.js';
import { masked } from './secrets.js';
import { bytesText, percentText, printable, secondsText } from './text.js';

/** The version of the events of `--json=stream`; docs/cli.md describes them. */
export const EVENTS_VERSION = 1;

/** Least and most time between two `progress` events. */
const MIN_EVENT_MS = 100;
const MAX_EVENT_MS = 900;

/** Where a command stands. */
export interface ProgressState {
  readonly doneBytes: number;
  /** Undefined: not known. */
  readonly totalBytes: number | undefined;
  /** The file whose bytes moved last. */
  readonly file?:
    | { readonly path: string; readonly doneBytes: number; readonly totalBytes: number | undefined }
    | undefined;
  readonly doneFileCount?: number | undefined;
  readonly fileCount?: number | undefined;
  /** Bytes on the wire: sent by an upload, fetched by a download. */
  readonly wireBytes: number;
  /** What goes on, as {@link PHASES} and the library have it; undefined: there is one phase only. */
  readonly phase?: string | undefined;
  /** Bytes of files that had to be moved, and those that were there: stored, read back or in local files. */
  readonly newBytes?: number | undefined;
  readonly dedupedBytes?: number | undefined;
  /** How much of what is registered the server has checked; null: it does not say. */
  readonly finalization?: UploadProgress['finalization'] | undefined;
}

/** Phases by what stands before the bar instead of the label; of the others the label says enough. */
const PHASES: Readonly<Record<string, string>> = {
  planning: 'planning',
  sending: 'sending the rest',
  registering: 'registering',
  resuming: 'reading back',
  seeding: 'reading local files',
  verifying: 'checking',
};

/** Where an upload stands. */
export function uploadState(progress: UploadProgress): ProgressState {
  const { sentBytes, file, ...same } = progress;
  const { phase, doneBytes, totalBytes, doneFileCount, fileCount } = same;
  const { newBytes, dedupedBytes, finalization } = same;
  return {
    ...{ phase, doneBytes, totalBytes, doneFileCount, fileCount },
    ...{ newBytes, dedupedBytes, wireBytes: sentBytes, finalization },
    file:
      file === null
        ? undefined
        : { path: file.name, doneBytes: file.readBytes, totalBytes: file.sizeBytes },
  };
}

/** Where a download stands. */
export function downloadState(progress: DownloadProgress): ProgressState {
  const { phase, writtenBytes, totalBytes, fetchedBytes, resumedBytes, seededBytes } = progress;
  const { file } = progress;
  const dedupedBytes = resumedBytes + seededBytes;
  return {
    ...{ phase, doneBytes: writtenBytes, totalBytes, wireBytes: fetchedBytes, dedupedBytes },
    newBytes: Math.max(0, writtenBytes - dedupedBytes),
    file:
      file === null
        ? undefined
        : { path: file.name, doneBytes: file.readBytes, totalBytes: file.sizeBytes },
  };
}

/** Tells what goes on while a command runs: a bar, events, or nothing. */
export interface Reporter {
  update(state: ProgressState): void;
  /** A request is repeated. */
  retry(event: RetryEvent): void;
  /** Something that is no failure. */
  warn(message: string): void;
  /** An event of its own kind, told with `--json=stream` only. */
  event(type: string, fields: object): void;
  /** Nothing more is drawn. Safe to call twice. */
  clear(): void;
}

export interface ReporterOptions {
  readonly command: string;
  /** For the bar: "uploading". */
  readonly label: string;
  /** What the bytes on the wire are called: "sent"; null: they are not told. */
  readonly wireLabel: string | null;
  /** Where events go. @default standard output */
  readonly events?: Writable | undefined;
  readonly secrets: readonly string[];
  readonly clock?: Clock | undefined;
}

/** How this command line wants to be told. */
export function createReporter(
  args: ParsedArgs,
  context: CliContext,
  options: ReporterOptions,
): Reporter {
  const isStream = args.flag('json-stream');
  const clock = options.clock ?? SYSTEM_CLOCK;
  const isQuiet = args.flag('json') || args.flag('quiet');
  if (isStream) return streamReporter(options.events ?? context.stdout, options, clock);
  const bar = createProgressBar(context, options.label, isQuiet, clock);
  return barReporter(bar, {
    context,
    options,
    clock,
    json: args.flag('json'),
    quiet: args.flag('quiet'),
    verbose: args.flag('verbose'),
  });
}

interface BarParts {
  readonly context: CliContext;
  readonly options: ReporterOptions;
  readonly clock: Clock;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** A retry stands on the line until bytes move again, this long at least. */
const RETRY_SHOWN_MS = 2000;

function barReporter(bar: ProgressBar, parts: BarParts): Reporter {
  const { context, options, clock, json, quiet, verbose } = parts;
  let state: ProgressState = { doneBytes: 0, totalBytes: undefined, wireBytes: 0 };
  let note: { readonly text: string; readonly untilMs: number } | null = null;
  /** Where no bar is drawn a log may be kept: of many retries at a time one is told. */
  let loggedAt = Number.NEGATIVE_INFINITY;
  const draw = (): void => {
    if (note !== null && clock.now() > note.untilMs) note = null;
    const text = note?.text ?? fileText(state) + wireText(state, options.wireLabel);
    bar.update(state.doneBytes, state.totalBytes, text, PHASES[state.phase ?? ''] ?? options.label);
  };
  return {
    update(next) {
      state = next;
      draw();
    },
    retry(event) {
      const text = masked(retryText(event), options.secrets);
      note = { text, untilMs: clock.now() + Math.max(RETRY_SHOWN_MS, event.delayMs) };
      draw();
      if (json) return;
      if (verbose) bar.print(`${text}: ${masked(event.message, options.secrets)}`);
      else if (!quiet && !context.interactive && clock.now() - loggedAt >= RETRY_SHOWN_MS) {
        loggedAt = clock.now();
        bar.print(`orbweaver: ${text}`);
      }
    },
    warn(message) {
      const text = masked(message, options.secrets);
      if (json) writeJson(context.stderr, { type: 'warning', message: text });
      else if (!quiet) bar.print(`orbweaver: ${text}`);
    },
    event: () => {},
    clear: () => bar.clear(),
  };
}

function streamReporter(stream: Writable, options: ReporterOptions, clock: Clock): Reporter {
  const speed = new Speed(clock.now());
  let state: ProgressState = { doneBytes: 0, totalBytes: undefined, wireBytes: 0 };
  let toldAt = Number.NEGATIVE_INFINITY;
  let phase: string | undefined;
  let stopTimer = (): void => {};
  /** Something came too soon after the last event, and is told in a moment. */
  let isLate = false;
  let over = false;
  const event = (type: string, fields: object): void => {
    if (!over) writeJson(stream, { type, ...fields });
  };
  const tellIn = (delayMs: number): void => {
    stopTimer();
    stopTimer = clock.setTimer(delayMs, tell, { background: true });
  };
  const tell = (): void => {
    isLate = false;
    toldAt = clock.now();
    if (state.phase !== phase) speed.restart(toldAt, state.doneBytes);
    phase = state.phase;
    event('progress', progressFields(state, speed.at(toldAt, state.doneBytes)));
    tellIn(MAX_EVENT_MS);
  };
  event('start', { version: EVENTS_VERSION, command: options.command });
  tellIn(MAX_EVENT_MS);
  return {
    update(next) {
      if (over) return;
      state = next;
      const age = clock.now() - toldAt;
      if (age >= MIN_EVENT_MS) tell();
      else if (!isLate) {
        isLate = true;
        tellIn(MIN_EVENT_MS - age);
      }
    },
    retry(retry) {
      event('retry', { ...retry, message: masked(retry.message, options.secrets) });
    },
    warn: (message) => event('warning', { message: masked(message, options.secrets) }),
    event,
    clear() {
      if (over) return;
      if (isLate) tell();
      over = true;
      stopTimer();
    },
  };
}

function progressFields(state: ProgressState, bytesPerSecond: number): object {
  const { doneBytes, totalBytes, wireBytes, doneFileCount, fileCount, file } = state;
  const { phase, newBytes, dedupedBytes, finalization } = state;
  const left = secondsLeft(doneBytes, totalBytes, bytesPerSecond);
  return {
    ...(phase === undefined ? {} : { phase }),
    doneBytes,
    totalBytes: totalBytes ?? null,
    ...(newBytes === undefined ? {} : { newBytes, dedupedBytes }),
    wireBytes,
    bytesPerSecond: Math.round(bytesPerSecond),
    secondsLeft: left === undefined ? null : Math.ceil(left),
    ...(fileCount === undefined ? {} : { doneFileCount, fileCount }),
    ...(file === undefined ? {} : { file: { ...file, totalBytes: file.totalBytes ?? null } }),
    ...(finalization ? { finalization } : {}),
  };
}

/** `2 of 9 files, model.bin 37.5 %` when there are several, and the file when it is a local one that is read. */
function fileText(state: ProgressState): string {
  const { file, doneFileCount = 0, fileCount = 0, finalization, phase } = state;
  if (finalization) return `${finalization.verified} of ${finalization.total} checked, `;
  const isLocal = phase === 'resuming' || phase === 'seeding';
  if (file === undefined || (fileCount < 2 && !isLocal)) return '';
  const { path, doneBytes, totalBytes } = file;
  const share = totalBytes === undefined ? '' : ` ${percentText(doneBytes, totalBytes)}`;
  const count = fileCount < 2 ? '' : `${doneFileCount} of ${fileCount} files, `;
  return `${count}${printable(basename(path))}${share}, `;
}

function wireText({ wireBytes, doneBytes }: ProgressState, label: string | null): string {
  if (label === null) return '';
  return doneBytes === 0 && wireBytes === 0 ? '' : `${bytesText(wireBytes)} ${label}`;
}

function retryText({ operation, attempt, code, status, delayMs, instead }: RetryEvent): string {
  const why = status === null ? code : `${code}, status ${status}`;
  if (instead !== undefined) return `${operation} failed (${why}), ${instead} instead`;
  const when = delayMs < 1000 ? 'at once' : `in ${secondsText(delayMs / 1000)}`;
  return `${operation} failed (${why}), attempt ${attempt + 1} ${when}`;
}
