import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { OrbweaverError } from '../errors.js';
import type { FolderUploadOptions, FolderUploadResult, OrbweaverClient } from '../index.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { failedJson, reportFailed, writeJson } from './output.js';
import { sumOfSizes } from './progress.js';
import { type Reporter, uploadState } from './reporter.js';
import { bytesText, nameText, percentText, pluralText, printable, rateText } from './text.js';
import { collectSooner } from './v8-flags.js';

const OWN_OPTIONS = ['files-from', 'symlinks', 'names'];
/** Paths looked up at once: thousands of files must not wait for one disk access each. */
const LOOK_AHEAD = 32;

/** What the arguments of an upload are about. */
export interface LookedAt {
  /** A folder is among them, or what only folders have. */
  readonly isFolder: boolean;
  /** Bytes of the files; undefined: not known. */
  readonly totalBytes: number | undefined;
}

/** Looks at each path once. */
export async function lookAt(args: ParsedArgs, { cwd }: CliContext): Promise<LookedAt> {
  const folder = { isFolder: true, totalBytes: undefined };
  if (args.texts('exclude').length > 0 || args.flag('no-hidden')) return folder;
  if (OWN_OPTIONS.some((name) => args.text(name) !== undefined)) return folder;
  const paths = args.positionals.filter((path) => path !== '-');
  const found: (Stats | null)[] = [];
  for (let start = 0; start < paths.length; start += LOOK_AHEAD) {
    const some = paths.slice(start, start + LOOK_AHEAD);
    const looks = await Promise.all(some.map((path) => stat(resolve(cwd, path)).catch(() => null)));
    if (looks.some((stats, i) => isFolderPath(some[i] as string, stats))) return folder;
    found.push(...looks);
  }
  const isWhole = paths.length === args.positionals.length;
  return { isFolder: false, totalBytes: isWhole ? sumOfSizes(found) : undefined };
}

function isFolderPath(path: string, stats: Stats | null): boolean {
  return stats === null ? /[*?[\]{}()]/.test(path) : stats.isDirectory();
}

/** @throws USAGE */
export function checkFolderArgs(args: ParsedArgs): void {
  if (args.positionals.includes('-')) {
    throw usage('standard input is no part of a folder; a list of paths is --files-from -');
  }
}

/** What a folder upload works with. */
export interface FolderRun {
  readonly args: ParsedArgs;
  readonly context: CliContext;
  readonly reporter: Reporter;
  readonly base?: FolderUploadOptions['base'];
  readonly maxXorbBytes?: number | undefined;
  readonly dryRun: boolean;
}

/** Uploads folders, or does all but send. `path` is what they are called in messages. */
export async function sendFolders(
  client: OrbweaverClient,
  { args, context, reporter, base, maxXorbBytes, dryRun }: FolderRun,
): Promise<FolderUploadResult & { readonly path: string }> {
  const { cwd } = context;
  const list = args.text('files-from');
  const inputs = args.positionals.map((path) => resolve(cwd, path));
  const folders = inputs.length === 0 && list !== undefined ? [cwd] : inputs;
  const result = await client.uploadFolder(folders, {
    exclude: args.texts('exclude'),
    files: list === undefined ? undefined : await filesIn(list, context),
    hidden: !args.flag('no-hidden'),
    symlinks: args.text('symlinks') as FolderUploadOptions['symlinks'],
    names: args.text('names') as FolderUploadOptions['names'],
    sha256: args.flag('sha256'),
    rehash: args.flag('rehash'),
    maxXorbBytes,
    base,
    dryRun,
    signal: context.signal,
    onProgress: (progress) => reporter.update(uploadState(progress)),
    onFile: (file) => reporter.event('file', file),
  });
  reporter.clear();
  for (const { path: name, reason } of result.skipped) {
    reporter.warn(`left out "${name}": ${reason}`);
  }
  for (const { base: old, problem } of result.bases ?? []) {
    if (problem !== null) reporter.warn(`base "${old}": ${problem}`);
  }
  return { ...result, path: args.positionals.length === 0 ? '.' : args.positionals.join(' ') };
}

/** Uploads folders and prints the hash of the manifest. */
export async function uploadFolder(client: OrbweaverClient, run: FolderRun): Promise<number> {
  collectSooner();
  const { args, context, dryRun } = run;
  const json = args.flag('json');
  const { path, ...result } = await sendFolders(client, run);
  if (json) writeJson(context.stdout, jsonOf(result, path));
  else {
    context.stdout.write(`${result.manifestHash}  ${nameText(context.stdout, path)}\n`);
    if (!args.flag('quiet')) context.stderr.write(summaryOf(result, path, dryRun));
  }
  return reportFailed(context.stderr, result.failed, { json, doneCount: 1 });
}

/** The contract of docs/cli.md. */
function jsonOf(result: FolderUploadResult, path: string): object {
  const { failed, skipped, shardCount: _, wallMs, ...rest } = result;
  return {
    type: 'result',
    path,
    ...rest,
    wallMs: Math.round(wallMs),
    ...(skipped.length === 0 ? {} : { skipped }),
    ...failedJson(failed),
  };
}

function summaryOf(result: FolderUploadResult, path: string, dryRun: boolean): string {
  const { fileCount, folderCount, sizeBytes, newBytes, xorbBytes, xorbCount, wallMs } = result;
  return (
    `${printable(basename(path))}: ${pluralText(fileCount, 'file')} in ${pluralText(folderCount, 'folder')}, ` +
    `${bytesText(sizeBytes)}, ${bytesText(newBytes)} new (${percentText(newBytes, sizeBytes)}), ` +
    `${dryRun ? 'would send' : 'sent'} ${bytesText(xorbBytes)} in ${pluralText(xorbCount, 'xorb')}, ${rateText(sizeBytes, wallMs)}\n`
  );
}

/** Paths of a list: ended by NUL when there is one, else a line each. */
export async function filesIn(list: string, { cwd, stdin }: CliContext): Promise<string[]> {
  let text: string;
  if (list === '-') {
    const pieces: Buffer[] = [];
    for await (const piece of stdin) pieces.push(Buffer.from(piece as Uint8Array));
    text = Buffer.concat(pieces).toString('utf8');
  } else {
    text = await readFile(resolve(cwd, list), 'utf8').catch((error: unknown) => {
      const { code = '', message } = error as NodeJS.ErrnoException;
      const isMissing = code === 'ENOENT';
      const got = isMissing ? 'no such file or folder (ENOENT)' : message;
      throw new OrbweaverError(
        isMissing ? 'INPUT_NOT_FOUND' : 'INPUT_UNREADABLE',
        `"${list}" expected a readable input, got ${got}`,
      );
    });
  }
  const lines = text.includes('\0') ? text.split('\0') : text.split(/\r?\n/);
  return lines.filter((line) => line !== '');
}
