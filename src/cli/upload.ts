import { basename, resolve } from 'node:path';
import type { ClientOptions, PlacementName, UploadInput, UploadResult } from '../index.js';
import { CACHE, cacheOptionsOf, cacheWarning } from './cache.js';
import {
  COMPUTE,
  defineCommand,
  LIMITS,
  NETWORK,
  type ParsedArgs,
  SERVER,
  TOKEN_URL,
  usage,
} from './command.js';
import type { CliContext, Command } from './context.js';
import { checkDestination, UPLOADS } from './destinations.js';
import { FOLDER_UPLOAD } from './folder-options.js';
import { HUB_UPLOAD } from './hub-options.js';
import { failedJson, reportFailed, writeJson } from './output.js';
import { uploadState } from './reporter.js';
import { withServer } from './server-client.js';
import { serverSettingsOf, settingsOf } from './settings.js';
import { STATE } from './state.js';
import { bytesText, nameText, percentText, pluralText, printable, rateText } from './text.js';
import { BASE, GRANTS, MAX_XORB_BYTES, maxXorbBytesOf, PLACEMENT } from './upload-options.js';
import { UPLOAD_TO_OPTIONS } from './upload-to-options.js';

export const uploadCommand: Command = defineCommand({
  usage: [
    'upload PATH... --endpoint URL --token T [OPTIONS]',
    'upload PATH... --to KIND:URL [--token-file FILE] [--set NAME=VALUE]... [OPTIONS]',
    'upload PATH... hf://[datasets/]NAMESPACE/NAME[@REVISION][/PATH] [OPTIONS]',
  ],
  about: `Uploads files and prints the hash of each. All files of one call share one index: data
that two of them have in common is sent once. "-" reads standard input. A folder, or a glob in
quotes, is uploaded with all it holds, and one hash is printed: that of its manifest, which
download restores.

With an hf:// address files or one folder go to a repository of a Hub and are committed: that of
--endpoint, $HF_ENDPOINT or huggingface.co, with the token of --token, $HF_TOKEN or hf auth login.`,
  options: [
    ...SERVER,
    TOKEN_URL,
    { name: 'sha256', help: "also compute each file's SHA-256 and register it" },
    { name: 'expand', help: 'PATHs are ZIP archives: upload their entries as files' },
    { name: 'allow-append', help: 'send growing files (logs) up to the size they had' },
    BASE,
    PLACEMENT,
    GRANTS,
    ...FOLDER_UPLOAD,
    ...HUB_UPLOAD,
    ...CACHE,
    ...STATE,
    { name: 'rehash', help: 'read again what is unchanged since it was uploaded' },
    ...UPLOAD_TO_OPTIONS,
    { name: 'dry-run', help: 'do everything but send; says what would be sent' },
    MAX_XORB_BYTES,
    ...NETWORK,
    ...LIMITS,
    ...COMPUTE,
  ],
  run: upload,
});

async function upload(args: ParsedArgs, context: CliContext): Promise<number> {
  const paths = args.positionals;
  if (paths.length === 0 && args.text('files-from') === undefined) {
    throw usage('upload expected at least one PATH');
  }
  if (paths.filter((path) => path === '-').length > 1) {
    throw usage('standard input can be read once only');
  }
  if (args.text('to') !== undefined) {
    const { uploadTo } = await import('./upload-to.js');
    return uploadTo(args, context);
  }
  if (paths.at(-1)?.startsWith('hf://') === true) {
    const { uploadToHub } = await import('./hub.js');
    return uploadToHub(args, context);
  }
  const dryRun = args.flag('dry-run');
  const settings = dryRun ? await settingsOf(args, context) : await serverSettingsOf(args, context);
  const maxXorbBytes = maxXorbBytesOf(settings.args);
  const folders = await import('./upload-folder.js');
  const looked = await folders.lookAt(args, context);
  const { isFolder } = looked;
  checkDestination(args, UPLOADS, isFolder ? 'folders' : 'files');
  if (isFolder) folders.checkFolderArgs(args);
  const json = args.flag('json');
  const command = {
    ...{ command: 'upload', label: 'uploading', wireLabel: 'sent', settings, remembers: true },
    client: {
      ...cacheOptionsOf(args, context),
      placement: args.text('placement') as PlacementName | undefined,
      grants: args.text('grants') as ClientOptions['grants'],
    },
  };
  return withServer(args, context, command, async ({ client, reporter }) => {
    const warning = cacheWarning(client);
    if (warning !== null) reporter.warn(warning);
    if (isFolder) {
      const base = basesOf(args, context);
      const run = { args, context, reporter, base, maxXorbBytes, dryRun };
      return await folders.uploadFolder(client, run);
    }
    const interactive = context.interactive || args.flag('json-stream');
    const totalBytes = interactive && !args.flag('expand') ? looked.totalBytes : undefined;
    const inputs = paths.map(
      (path): UploadInput => (path === '-' ? { name: '-', data: context.stdin } : path),
    );
    const result = await client.upload(inputs, {
      sha256: args.flag('sha256'),
      expand: args.flag('expand'),
      dryRun,
      maxXorbBytes,
      upToStartSize: args.flag('allow-append'),
      base: basesOf(args, context),
      rehash: args.flag('rehash'),
      signal: context.signal,
      onProgress: (progress) => {
        const state = uploadState(progress);
        // Files are looked up while others are read already.
        const most = Math.max(totalBytes ?? 0, state.totalBytes ?? 0);
        reporter.update({
          ...state,
          totalBytes: totalBytes === undefined ? state.totalBytes : most,
          fileCount: args.flag('expand') ? state.fileCount : paths.length,
        });
      },
    });
    for (const file of result.files) reporter.event('file', file);
    for (const { base, problem } of result.bases ?? []) {
      if (problem !== null) reporter.warn(`base "${base}": ${problem}`);
    }
    reporter.clear();
    const doneCount = result.files.length;
    if (json) writeJson(context.stdout, jsonOf(result));
    else if (doneCount > 0) print(result, context, { quiet: args.flag('quiet'), dryRun });
    return reportFailed(context.stderr, result.failed, { json, doneCount });
  });
}

/** Bases as the client takes them: paths are those of the command's own folder. */
export function basesOf(args: ParsedArgs, { cwd }: CliContext): readonly string[] | undefined {
  const bases = args.texts('base');
  if (bases.length === 0) return undefined;
  return bases.map((base) => (/^[0-9a-f]{64}$/i.test(base) ? base : resolve(cwd, base)));
}

/** The contract of docs/cli.md. */
export function jsonOf(result: UploadResult): object {
  return {
    type: 'result',
    files: result.files,
    xorbCount: result.xorbCount,
    xorbBytes: result.xorbBytes,
    shardBytes: result.shardBytes,
    ...(result.bases === undefined ? {} : { bases: result.bases }),
    wallMs: Math.round(result.wallMs),
    ...failedJson(result.failed),
  };
}

function print(
  result: UploadResult,
  context: CliContext,
  { quiet, dryRun }: { readonly quiet: boolean; readonly dryRun: boolean },
): void {
  let sizeBytes = 0;
  let newBytes = 0;
  let unchangedCount = 0;
  for (const file of result.files) {
    sizeBytes += file.sizeBytes;
    newBytes += file.newBytes;
    if (file.unchanged) unchangedCount++;
    const sha256 = file.sha256 === null ? '' : `  sha256:${file.sha256}`;
    context.stdout.write(`${file.fileHash}  ${nameText(context.stdout, file.path)}${sha256}\n`);
  }
  if (quiet) return;
  const what =
    result.files.length === 1
      ? printable(basename(result.files[0]?.path ?? ''))
      : pluralText(result.files.length, 'file');
  const unread = unchangedCount === 0 ? '' : `, ${unchangedCount} unchanged and not read`;
  context.stderr.write(
    `${what}: ${bytesText(sizeBytes)}, ${bytesText(newBytes)} new (${percentText(newBytes, sizeBytes)}), ` +
      `${dryRun ? 'would send' : 'sent'} ${bytesText(result.xorbBytes)} in ${pluralText(result.xorbCount, 'xorb')}, ${rateText(sizeBytes, result.wallMs)}${unread}\n`,
  );
}
