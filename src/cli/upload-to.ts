import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isOrbweaverError } from '../errors.js';
import { type TargetOutcome, type TransferProgress, uploadToTarget } from '../targets.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { checkDestination, UPLOADS } from './destinations.js';
import { type FailedFile, failureOf, reportFailed, reportFailure, writeJson } from './output.js';
import { createProgressBar } from './progress.js';
import { networkSettingsOf } from './settings.js';
import { stateFolderOf } from './state.js';
import { bytesText } from './text.js';

/** `upload --to KIND:URL`: the same files to another upload system. */

/** @param what other than what the command line says: for a transfer that is taken up again */
export async function uploadTo(
  args: ParsedArgs,
  context: CliContext,
  what?: { readonly to: string; readonly paths: readonly string[] },
): Promise<number> {
  const { to, paths } = what ?? { to: args.text('to') as string, paths: args.positionals };
  const json = args.flag('json');
  const quiet = args.flag('quiet');
  const kind = to.slice(0, Math.max(0, to.indexOf(':')));
  if (args.text('concurrency') !== undefined) {
    const instead =
      kind === 'multipart'
        ? 'a multipart: target takes --set parallelParts=N'
        : `a ${kind}: target takes one part after another`;
    throw usage(`--concurrency is for stores, and cannot be combined with --to: ${instead}`);
  }
  // What `transfers resume` was told is checked by itself.
  if (what === undefined) checkDestination(args, UPLOADS, '--to');
  if (paths.includes('-') && args.bytes('size') === undefined) {
    throw usage('"-" with --to expected --size BYTES: no such system takes a pipe of unknown size');
  }
  const { proxy, noProxy, ca, limitUpload } = await networkSettingsOf(
    to.slice(kind.length + 1),
    args,
    context,
  );
  const bar = createProgressBar(context, 'uploading', json || quiet);
  let outcomes: readonly TargetOutcome[];
  try {
    outcomes = await uploadToTarget(
      paths.map((path) => (path === '-' ? { name: '-', data: context.stdin } : path)),
      {
        ...{ to, proxy, noProxy, ca, limitUpload },
        token: await tokenOf(args, context, kind),
        settings: {
          ...settingsOf(args.texts('set')),
          ...(args.flag('accept-cost') ? { acceptCost: 'true' } : {}),
        },
        journalFolder: stateFolderOf(args, context) ?? null,
        sizeBytes: args.bytes('size'),
        maxMemory: args.bytes('max-memory'),
        signal: context.signal,
        onProgress: (progress) => draw(bar, progress),
      },
    );
  } finally {
    bar.clear();
  }
  report(outcomes, context, { json, quiet });
  return exitCodeOf(outcomes, context, json);
}

/** The token of the command line, a file, or the environment; never the store's own. */
export async function tokenOf(
  args: ParsedArgs,
  context: CliContext,
  kind: string,
): Promise<string | undefined> {
  const given = args.text('token');
  if (given !== undefined) return given;
  const name = `ORBWEAVER_${kind.toUpperCase()}_TOKEN`;
  const file = args.text('token-file') ?? context.env[`${name}_FILE`];
  if (file === undefined || file === '') return context.env[name] || undefined;
  const text = await readFile(resolve(context.cwd, file), 'utf8').catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code ?? 'it cannot be read';
    throw usage(`--token-file expected a file with a token, got "${file}": ${code}`);
  });
  return text.trim() || undefined;
}

/** `NAME=VALUE` texts. @throws USAGE */
export function settingsOf(set: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    set.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw usage(`--set expected NAME=VALUE, got "${text}"`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

function draw(bar: ReturnType<typeof createProgressBar>, progress: TransferProgress): void {
  const { phase, totalBytes, digestedBytes, acknowledgedBytes, inFlightBytes, target } = progress;
  const done = phase === 'digest' ? digestedBytes : acknowledgedBytes + inFlightBytes;
  const fraction = target?.fraction;
  const share = fraction == null ? '' : ` ${Math.floor(100 * fraction)} %`;
  bar.update(
    Math.min(done, totalBytes),
    totalBytes,
    target === null ? phase : `${target.stage}${share}`,
  );
}

function report(
  outcomes: readonly TargetOutcome[],
  context: CliContext,
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
): void {
  if (json) {
    writeJson(context.stdout, jsonOf(outcomes));
    return;
  }
  for (const outcome of outcomes) {
    if ('error' in outcome) continue;
    const { ids, verified, deduplicated, sizeBytes } = outcome.result;
    const names = Object.entries(ids).map(([name, id]) => `${name}=${id}`);
    context.stdout.write(`${names.join(' ')}  ${outcome.path}\n`);
    if (quiet) continue;
    const how = deduplicated ? 'it was there already' : verified ? 'checked' : 'not checked';
    context.stderr.write(`${outcome.path}: ${bytesText(sizeBytes)}, ${how}\n`);
  }
}

/** The contract of docs/cli.md. */
function jsonOf(outcomes: readonly TargetOutcome[]): object {
  const files: object[] = [];
  const failed: object[] = [];
  for (const outcome of outcomes) {
    if ('error' in outcome) {
      const { code, message, status = null, requestId = null } = failureOf(outcome.error);
      const fields = isOrbweaverError(outcome.error) ? outcome.error.fields : {};
      failed.push({ path: outcome.path, code, message, status, requestId, fields });
      continue;
    }
    const { kind, state, ids, verified, deduplicated, details, digests, sizeBytes } =
      outcome.result;
    files.push({
      path: outcome.path,
      sizeBytes,
      digests,
      target: { kind, state, ids, verified, deduplicated, details },
    });
  }
  return { type: 'result', files, ...(failed.length === 0 ? {} : { failed }) };
}

/** Says what failed, each file once, and what the exit code is. */
function exitCodeOf(
  outcomes: readonly TargetOutcome[],
  context: CliContext,
  json: boolean,
): number {
  const failed = outcomes.flatMap((outcome) =>
    'error' in outcome ? [failedOf(outcome.path, outcome.error)] : [],
  );
  const interrupted = failed.find((failure) => failure.code === 'ABORTED');
  if (interrupted !== undefined) {
    reportFailure(context.stderr, interrupted, json);
    return interrupted.exitCode;
  }
  const doneCount = outcomes.length - failed.length;
  return reportFailed(context.stderr, failed, { json, doneCount });
}

/** A failure that names its file, which those of servers do not. */
function failedOf(path: string, error: unknown): FailedFile {
  const failure = failureOf(error);
  const message = failure.message.includes(path) ? failure.message : `${path}: ${failure.message}`;
  return {
    ...failure,
    path,
    message,
    ...(isOrbweaverError(error) ? { fields: error.fields } : {}),
  };
}
