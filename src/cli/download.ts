import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EXIT, isOrbweaverError, type OrbweaverError } from '../errors.js';
import type {
  DownloadProgress,
  DownloadResult,
  OrbweaverClient,
  VerifyRange,
  ZipEntryRequest,
} from '../index.js';
import {
  COMPUTE,
  defineCommand,
  LIMITS,
  NETWORK,
  type ParsedArgs,
  SERVER,
  TOKEN_FILE,
  TOKEN_URL,
  usage,
} from './command.js';
import type { CliContext, Command } from './context.js';
import { checkDestination, DOWNLOADS, type DownloadKind } from './destinations.js';
import { FOLDER_DOWNLOAD } from './folder-options.js';
import { HUB_DOWNLOAD } from './hub-options.js';
import { type FailedFile, failureOf, reportFailed, writeJson } from './output.js';
import { localText, tellPlan } from './plan.js';
import { downloadState } from './reporter.js';
import { withServer } from './server-client.js';
import { serverSettingsOf } from './settings.js';
import { STATE } from './state.js';
import { bytesText, pluralText, printable, rateText } from './text.js';

export const downloadCommand: Command = defineCommand({
  usage: [
    'download FILEHASH[=NAME] --endpoint URL --token T -o OUT [OPTIONS]',
    'download MANIFESTHASH --endpoint URL --token T -o DIR',
    'download FILEHASH[=NAME]... --endpoint URL --token T -o FOLDER [OPTIONS]',
    'download hf://[datasets/]NAMESPACE/NAME[@REVISION][/PATH] -o DIR | --hf-cache',
    'download --zip OUT.zip FILEHASH[=NAME]... --endpoint URL --token T',
  ],
  about: `Rebuilds a file and checks its size and hash before the name OUT appears. With "-o -" the
bytes go to standard output and are checked at the end: only exit code 0 means that they are
right. A range is held against the file hash, too, where the store offers what that takes. The hash
of a manifest restores its folder into DIR, which is made if it is missing.

A download of a whole file of 4 MiB and more that is interrupted, or killed, leaves what it wrote in a
hidden file beside OUT for a week. The same command goes on from there: what it reads back and finds
right is not fetched again.`,
  options: [
    ...SERVER,
    {
      name: 'output',
      short: 'o',
      value: 'OUT',
      help: 'the file to write, a folder for FILEHASH=NAME, for several, or for a manifest, "-" for standard output',
    },
    { name: 'offset', value: 'N', help: 'first byte of a range', fallback: '0' },
    { name: 'length', value: 'N', help: 'bytes of the range', fallback: 'to the end' },
    ...STATE.filter(({ name }) => name !== 'no-resume'),
    {
      name: 'no-resume',
      help: 'begin anew: without what an interrupted download left, and without the old OUT',
    },
    {
      name: 'seed',
      value: 'PATH',
      help: 'take chunks from this local file, such as an older version (of a folder: a folder), and fetch the rest; repeatable. The old OUT is one by itself',
      isRepeatable: true,
    },
    {
      name: 'verify-range',
      value: 'V',
      help: 'hold a range against the file hash: auto (where the store offers that), require, off',
      fallback: 'auto',
      choices: ['auto', 'require', 'off'],
    },
    {
      name: 'dry-run',
      help: 'fetch nothing; say what would be fetched, from where, and what need not be',
    },
    { name: 'zip', value: 'OUT.zip', help: 'stream several files into one ZIP archive' },
    ...FOLDER_DOWNLOAD,
    ...HUB_DOWNLOAD,
    TOKEN_FILE,
    TOKEN_URL,
    ...NETWORK,
    ...LIMITS,
    ...COMPUTE,
  ],
  notes: 'With "-o -" the line of --json goes to standard error.',
  run: download,
});

async function download(args: ParsedArgs, context: CliContext): Promise<number> {
  if (args.positionals[0]?.startsWith('hf://') === true) {
    const { downloadFromHub } = await import('./hub.js');
    return downloadFromHub(args, context);
  }
  const zip = args.text('zip');
  const offset = args.bytes('offset');
  const length = args.bytes('length');
  const entries = args.positionals.map(zipEntryOf);
  const [first, ...others] = entries;
  if (first === undefined) throw usage('say which file: download FILEHASH -o OUT');
  if (zip !== undefined && (offset ?? length ?? args.text('output')) !== undefined) {
    throw usage('--zip cannot be combined with -o, --offset or --length');
  }
  const isMany = zip === undefined && others.length > 0;
  if (isMany && (offset ?? length) !== undefined) {
    throw usage('--offset and --length are for one file');
  }
  const seeds = args.texts('seed').map((path) => resolve(context.cwd, path));
  if (seeds.length > 0 && (zip !== undefined || (offset ?? length) !== undefined)) {
    throw usage('--seed is for a whole file, without --zip, --offset or --length');
  }
  const place: Place =
    zip === undefined && !isMany
      ? await placeOf(args.text('output'), first, context)
      : { kind: 'file', path: zip ?? '' };
  const isRange = (offset ?? length) !== undefined;
  const kinds = kindsOf(place, { isZip: zip !== undefined, isRange });
  checkDestination(args, DOWNLOADS, ...kinds);
  const outputs = isMany ? await outputPaths(args.text('output'), entries, context) : [place.path];
  const settings = await serverSettingsOf(args, context);
  const json = args.flag('json');
  const toStdout = outputs[0] === '-';
  if (toStdout && seeds.length > 0) throw usage('--seed is for a file: -o OUT, not -o -');
  const command = {
    ...{ command: 'download', label: 'downloading', wireLabel: 'fetched', settings },
    ...{ events: toStdout ? context.stderr : context.stdout, remembers: true },
  };
  const range = {
    ...(offset === undefined ? {} : { offset }),
    ...(length === undefined ? {} : { length }),
  };
  const resume = !args.flag('no-resume');
  const { signal } = context;
  const dryRun = args.flag('dry-run');
  /** Downloads one; what it returns tells the result. */
  const one = async (
    client: OrbweaverClient,
    { entry, out, onProgress }: OneDownload,
  ): Promise<() => void> => {
    const path = resolve(context.cwd, out);
    const common = { signal, onProgress };
    try {
      if (dryRun) {
        const to = toStdout ? undefined : path;
        const plan =
          zip === undefined
            ? await client.planDownload(entry.hash, {
                ...{ ...common, ...range, to, resume, seeds },
              })
            : await client.planZip(entries, { signal });
        return () => tellPlan(context, { out, plan, json, toStdout });
      }
      const to = toStdout ? context.stdout : path;
      const result =
        zip === undefined
          ? await client.download(entry.hash, {
              ...{ ...common, ...range, to, resume, seeds },
              verifyRange: args.text('verify-range') as VerifyRange | undefined,
            })
          : await client.downloadZip(entries, { ...common, to });
      return () => {
        const { seedNote } = result;
        // The old OUT is a seed that nobody asked for.
        if (seeds.length > 0 && seedNote !== null && !json && !args.flag('quiet')) {
          context.stderr.write(`--seed: ${printable(seedNote)}\n`);
        }
        if (json) writeJson(toStdout ? context.stderr : context.stdout, lineOf(out, result));
        else if (!args.flag('quiet')) context.stderr.write(sentenceOf(out, result));
      };
    } catch (error) {
      const isKept = isOrbweaverError(error) && Number(error.fields['keptBytes'] ?? 0) > 0;
      const name = entry.name === entry.hash ? entry.hash : `${entry.hash}=${entry.name}`;
      const ownOut = isMany ? (args.text('output') ?? out) : out;
      if (isKept && !json) {
        onFailed.push(() => context.stderr.write(goOnText(args, name, ownOut)));
      }
      throw error;
    }
  };
  /** What is told when nothing is drawn any more. */
  const onFailed: (() => void)[] = [];
  return withServer(args, context, command, async (opened) => {
    const { client, reporter } = opened;
    if (!isMany) {
      if (place.kind !== 'file' && !isRange) {
        if (await client.isFolder(first.hash, { signal: context.signal })) {
          checkDestination(args, DOWNLOADS, 'folders');
          const { downloadFolder } = await import('./download-folder.js');
          const request = { hash: first.hash, out: place.path, seeds };
          return await downloadFolder(client, request, { args, context, reporter });
        }
      }
      if (place.kind === 'folder') throw nameless(place.path, first.hash);
      checkDestination(args, DOWNLOADS, ...kinds.filter((kind) => kind !== 'folders'));
      const onProgress = (progress: DownloadProgress): void =>
        reporter.update(downloadState(progress));
      try {
        const tell = await one(client, { entry: first, out: place.path, onProgress });
        reporter.clear();
        tell();
      } finally {
        reporter.clear();
        for (const tell of onFailed) tell();
      }
      return EXIT.ok;
    }
    const { downloadMany } = await import('./download-many.js');
    const outcomes = await downloadMany(client, { entries, reporter, signal }, (i, onProgress) =>
      one(client, { entry: entries[i] as ZipEntryRequest, out: outputs[i] as string, onProgress }),
    );
    reporter.clear();
    for (const tell of onFailed) tell();
    const failed: FailedFile[] = [];
    let interruption: unknown = null;
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome === null) continue;
      if ('tell' in outcome) {
        outcome.tell();
        continue;
      }
      if (signal.aborted) {
        interruption ??= outcome.error;
        continue;
      }
      const path = outputs[i] as string;
      const failure = failureOf(outcome.error, 'download');
      failed.push({ path, ...failure });
      const { exitCode: _, ...told } = failure;
      if (json) writeJson(context.stderr, { type: 'error', path, ...told });
    }
    if (interruption !== null) throw interruption;
    return reportFailed(context.stderr, failed, {
      json,
      doneCount: entries.length - failed.length,
    });
  });
}

interface OneDownload {
  readonly entry: ZipEntryRequest;
  readonly out: string;
  readonly onProgress: (progress: DownloadProgress) => void;
}

/** What this may turn out to be: whether a hash is that of a manifest only the store can tell. */
function kindsOf(
  { kind }: Place,
  { isZip, isRange }: { readonly isZip: boolean; readonly isRange: boolean },
): readonly DownloadKind[] {
  if (isZip) return ['--zip'];
  if (isRange) return ['ranges'];
  if (kind === 'file') return ['whole files'];
  return kind === 'folder' ? ['folders'] : ['whole files', 'folders'];
}

/** The contract of docs/cli.md. */
function lineOf(path: string, result: DownloadResult): object {
  return {
    type: 'result',
    path,
    sizeBytes: result.sizeBytes,
    fetchedBytes: result.fetchedBytes,
    resumedBytes: result.resumedBytes,
    seededBytes: result.seededBytes,
    seedNote: result.seedNote,
    requestCount: result.requestCount,
    verified: result.verified,
    wallMs: Math.round(result.wallMs),
  };
}

function sentenceOf(path: string, result: DownloadResult): string {
  const { sizeBytes } = result;
  const unchecked = result.verified ? '' : '; a range, so not held against the file hash';
  return (
    `${printable(path)}: ${bytesText(sizeBytes)}, fetched ${bytesText(result.fetchedBytes)} in ` +
    `${pluralText(result.requestCount, 'request')}, ${rateText(sizeBytes, result.wallMs)}${localText(result)}${unchecked}\n`
  );
}

/** The command that goes on with a download, as a shell takes it. The token is not repeated. */
function goOnText(args: ParsedArgs, name: string, out: string): string {
  const endpoint = args.text('endpoint');
  const words = [
    ...['orbweaver', 'download', name, '-o', out],
    ...args.texts('seed').flatMap((path) => ['--seed', path]),
    ...(endpoint === undefined ? [] : ['--endpoint', endpoint]),
    ...(args.text('token') === undefined ? [] : ['--token', '…']),
  ];
  return `to go on: ${words.map(shellWord).join(' ')}\n`;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", "'\\''")}'`;
}

/**
 * Where a download goes: a file; a folder, which needs a name or a manifest; or, where nothing is yet, either,
 * as the download will have it.
 */
interface Place {
  readonly kind: 'file' | 'folder' | 'either';
  readonly path: string;
}

/** OUT itself, or NAME in it when it is a folder. @throws USAGE */
async function placeOf(
  out: string | undefined,
  { hash, name }: ZipEntryRequest,
  { cwd }: CliContext,
): Promise<Place> {
  if (out === undefined || out === '') {
    throw usage('say where the file goes: -o OUT, or -o - for standard output');
  }
  if (out === '-') return { kind: 'file', path: out };
  const found = await stat(resolve(cwd, out)).catch(() => null);
  const isFolder = /[/\\]$/.test(out) || found?.isDirectory() === true;
  if (!isFolder) return { kind: found === null && name === hash ? 'either' : 'file', path: out };
  if (name === hash) return { kind: 'folder', path: out };
  if (/[/\\]/.test(name) || name === '.' || name === '..') {
    throw usage(`NAME expected the name of a file without folders, got "${name}"`);
  }
  return { kind: 'file', path: join(out, name) };
}

function nameless(out: string, hash: string): OrbweaverError {
  return usage(
    `"${out}" is a folder: name the file, as in -o ${join(out, 'NAME')} or ${hash}=NAME`,
  );
}

/** Where several files go: into a folder, each under its NAME, else its hash. @throws USAGE */
async function outputPaths(
  out: string | undefined,
  entries: readonly ZipEntryRequest[],
  { cwd }: CliContext,
): Promise<string[]> {
  if (out === undefined || out === '' || out === '-') {
    throw usage('several files go into a folder, -o FOLDER, or into an archive, --zip OUT.zip');
  }
  const there = await stat(resolve(cwd, out)).catch(() => null);
  if (there !== null && !there.isDirectory()) {
    throw usage(`several files go into a folder, and "${out}" is none`);
  }
  const names = new Set<string>();
  return entries.map(({ name }) => {
    if (name === '' || /[/\\]/.test(name) || name === '.' || name === '..') {
      throw usage(`NAME expected the name of a file without folders, got "${name}"`);
    }
    if (names.has(name)) throw usage(`two files would be written to "${name}"`);
    names.add(name);
    return join(out, name);
  });
}

function zipEntryOf(text: string): ZipEntryRequest {
  const at = text.indexOf('=');
  return at < 0
    ? { hash: text, name: text }
    : { hash: text.slice(0, at), name: text.slice(at + 1) };
}
