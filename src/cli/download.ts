import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { EXIT, isOrbweaverError } from '../errors.js';
import type { DownloadProgress, ZipEntryRequest } from '../index.js';
import {
  COMPUTE,
  defineCommand,
  LIMITS,
  NETWORK,
  type ParsedArgs,
  SERVER,
  TOKEN_FILE,
  usage,
} from './command.js';
import { computeOptionsOf, kernelNote, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { createReporter } from './reporter.js';
import { secretsOf } from './secrets.js';
import { serverSettingsOf } from './settings.js';
import { bytesText, pluralText, printable, rateText } from './text.js';

export const downloadCommand: Command = defineCommand({
  usage: [
    'download FILEHASH[=NAME] --endpoint URL --token T -o OUT [OPTIONS]',
    'download --zip OUT.zip FILEHASH[=NAME]... --endpoint URL --token T',
  ],
  about: `Rebuilds a file and checks its size and hash before the name OUT appears. With "-o -" the
bytes go to standard output and are checked at the end: only exit code 0 means that they are
right. A range carries no hashes: its lengths and formats are checked.

A download of a whole file of 4 MiB and more that is interrupted, or killed, leaves what it wrote in a
hidden file beside OUT for a week. The same command goes on from there: what it reads back and finds
right is not fetched again.`,
  options: [
    ...SERVER,
    {
      name: 'output',
      short: 'o',
      value: 'OUT',
      help: 'the file to write, a folder for FILEHASH=NAME, "-" for standard output',
    },
    { name: 'offset', value: 'N', help: 'first byte of a range', fallback: '0' },
    { name: 'length', value: 'N', help: 'bytes of the range', fallback: 'to the end' },
    {
      name: 'no-resume',
      help: 'begin anew, whatever an interrupted download of the same file to OUT left',
    },
    { name: 'zip', value: 'OUT.zip', help: 'stream several files into one ZIP archive' },
    TOKEN_FILE,
    ...NETWORK,
    ...LIMITS,
    ...COMPUTE,
  ],
  notes: 'With "-o -" the line of --json goes to standard error.',
  run: download,
});

async function download(args: ParsedArgs, context: CliContext): Promise<number> {
  const zip = args.text('zip');
  const offset = args.bytes('offset');
  const length = args.bytes('length');
  const [first, ...others] = args.positionals;
  if (first === undefined) throw usage('say which file: download FILEHASH -o OUT');
  if (zip === undefined && others.length > 0) {
    throw usage('one file at a time goes to -o OUT; several go into an archive: --zip OUT.zip');
  }
  if (zip !== undefined && (offset ?? length ?? args.text('output')) !== undefined) {
    throw usage('--zip cannot be combined with -o, --offset or --length');
  }
  const entry = zipEntryOf(first);
  const out = zip ?? (await outputPath(args.text('output'), entry, context));
  const settings = await serverSettingsOf(args, context);
  const json = args.flag('json');
  const toStdout = out === '-';
  const reporter = createReporter(args, context, {
    command: 'download',
    label: 'downloading',
    wireLabel: 'fetched',
    events: toStdout ? context.stderr : context.stdout,
    secrets: secretsOf(['--token', settings.tokenText ?? ''], context.env),
  });
  const client = await openClient({
    endpoint: settings.endpoint,
    ...settings.connection,
    ...computeOptionsOf(settings.args),
    onRetry: (event) => reporter.retry(event),
  });
  try {
    if (args.flag('verbose')) context.stderr.write(kernelNote(client));
    const to = toStdout ? context.stdout : resolve(context.cwd, out);
    const common = {
      to,
      signal: context.signal,
      onProgress: ({ writtenBytes, totalBytes, fetchedBytes }: DownloadProgress) =>
        reporter.update({ doneBytes: writtenBytes, totalBytes, wireBytes: fetchedBytes }),
    };
    const result =
      zip === undefined
        ? await client.download(entry.hash, {
            ...common,
            resume: !args.flag('no-resume'),
            ...(offset === undefined ? {} : { offset }),
            ...(length === undefined ? {} : { length }),
          })
        : await client.downloadZip(args.positionals.map(zipEntryOf), common);
    reporter.clear();
    const line = {
      type: 'result',
      path: out,
      sizeBytes: result.sizeBytes,
      fetchedBytes: result.fetchedBytes,
      resumedBytes: result.resumedBytes,
      requestCount: result.requestCount,
      verified: result.verified,
      wallMs: Math.round(result.wallMs),
    };
    const { resumedBytes } = result;
    const resumed = resumedBytes > 0 ? `, ${bytesText(resumedBytes)} were there already` : '';
    const unchecked = result.verified ? '' : '; a range, so not held against the file hash';
    if (json) writeJson(toStdout ? context.stderr : context.stdout, line);
    else if (!args.flag('quiet')) {
      context.stderr.write(
        `${printable(out)}: ${bytesText(result.sizeBytes)}, fetched ${bytesText(result.fetchedBytes)} in ` +
          `${pluralText(result.requestCount, 'request')}, ${rateText(result.sizeBytes, result.wallMs)}${resumed}${unchecked}\n`,
      );
    }
    return EXIT.ok;
  } catch (error) {
    reporter.clear();
    const isKept = isOrbweaverError(error) && Number(error.fields['keptBytes'] ?? 0) > 0;
    if (isKept && !json) context.stderr.write(goOnText(args, first, out));
    throw error;
  } finally {
    reporter.clear();
    await client.close();
  }
}

/** The command that goes on with a download, as a shell takes it. The token is not repeated. */
function goOnText(args: ParsedArgs, name: string, out: string): string {
  const endpoint = args.text('endpoint');
  const words = [
    ...['orbweaver', 'download', name, '-o', out],
    ...(endpoint === undefined ? [] : ['--endpoint', endpoint]),
    ...(args.text('token') === undefined ? [] : ['--token', '…']),
  ];
  return `to go on: ${words.map(shellWord).join(' ')}\n`;
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./…-]+$/.test(word) ? word : `'${printable(word).replaceAll("'", "'\\''")}'`;
}

/** Where the file goes: OUT itself, or NAME in it when it is a folder. @throws USAGE */
async function outputPath(
  out: string | undefined,
  { hash, name }: ZipEntryRequest,
  { cwd }: CliContext,
): Promise<string> {
  if (out === undefined || out === '') {
    throw usage('say where the file goes: -o OUT, or -o - for standard output');
  }
  if (out === '-') return out;
  const isFolder =
    /[/\\]$/.test(out) || (await stat(resolve(cwd, out)).catch(() => null))?.isDirectory() === true;
  if (!isFolder) return out;
  if (name === hash) {
    throw usage(
      `"${out}" is a folder: name the file, as in -o ${join(out, 'NAME')} or ${hash}=NAME`,
    );
  }
  if (/[/\\]/.test(name) || name === '.' || name === '..') {
    throw usage(`NAME expected the name of a file without folders, got "${name}"`);
  }
  return join(out, name);
}

function zipEntryOf(text: string): ZipEntryRequest {
  const at = text.indexOf('=');
  return at < 0
    ? { hash: text, name: text }
    : { hash: text.slice(0, at), name: text.slice(at + 1) };
}
