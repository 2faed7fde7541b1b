import type { FolderUploadResult } from '../index.js';
import { CACHE, cacheOptionsOf } from './cache.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { FOLDER_UPLOAD } from './folder-options.js';
import { failedJson, reportFailed, writeJson } from './output.js';
import { totalBytesOf } from './progress.js';
import { CLIENT, withServer } from './server-client.js';
import { settingsOf } from './settings.js';
import { bytesText, countText, nameText, percentText, tableText } from './text.js';

export const estimateCommand: Command = defineCommand({
  usage: ['estimate PATH... [--endpoint URL --token T] [OPTIONS]'],
  about: `Cuts and hashes the files as an upload would and says what would be new: among the files
themselves and, with an endpoint, against that store. Nothing is written to the store. Of folders the
sum is told, for what an upload of them would take.`,
  options: [...FOLDER_UPLOAD, ...CACHE, ...CLIENT],
  run: estimate,
});

async function estimate(args: ParsedArgs, context: CliContext): Promise<number> {
  if (args.positionals.length === 0 && args.text('files-from') === undefined) {
    throw usage('estimate expected at least one PATH');
  }
  const json = args.flag('json');
  const command = {
    ...{ command: 'estimate', label: 'estimating', wireLabel: null },
    // Without an endpoint files are compared among each other.
    settings: await settingsOf(args, context),
    client: cacheOptionsOf(args, context),
  };
  const { checkFolderArgs, lookAt, sendFolders } = await import('./upload-folder.js');
  const { isFolder } = await lookAt(args, context);
  if (isFolder) checkFolderArgs(args);
  return withServer(args, context, command, async ({ client, reporter }) => {
    if (isFolder) {
      return printFolders(
        await sendFolders(client, { args, context, reporter, dryRun: true }),
        args,
        context,
      );
    }
    const totalBytes = await totalBytesOf(args.positionals, context);
    const inputs = args.positionals.map((path) =>
      path === '-' ? { name: '-', data: context.stdin } : path,
    );
    const result = await client.upload(inputs, {
      dryRun: true,
      signal: context.signal,
      onProgress: ({ doneBytes, totalBytes: known }) =>
        reporter.update({ doneBytes, totalBytes: known ?? totalBytes, wireBytes: 0 }),
    });
    reporter.clear();
    const sum = (pick: (file: (typeof result.files)[number]) => number): number =>
      result.files.reduce((total, file) => total + pick(file), 0);
    const sizeBytes = sum((file) => file.sizeBytes);
    const newBytes = sum((file) => file.newBytes);
    if (json) {
      writeJson(context.stdout, {
        type: 'result',
        files: result.files,
        sizeBytes,
        newBytes,
        dedupedBytes: sizeBytes - newBytes,
        xorbBytes: result.xorbBytes,
        wallMs: Math.round(result.wallMs),
        ...failedJson(result.failed),
      });
    } else if (result.files.length > 0) {
      const rows = result.files.map((file) => [
        nameText(context.stdout, file.path),
        bytesText(file.sizeBytes),
        countText(file.chunkCount),
        bytesText(file.newBytes),
        percentText(file.dedupedBytes, file.sizeBytes),
      ]);
      context.stdout.write(
        tableText([
          ['file', 'size', 'chunks', 'new', 'deduplicated'],
          ...rows,
          [
            'all',
            bytesText(sizeBytes),
            countText(sum((file) => file.chunkCount)),
            bytesText(newBytes),
            percentText(sizeBytes - newBytes, sizeBytes),
          ],
        ]),
      );
      context.stdout.write(`would send ${bytesText(result.xorbBytes)} of packed chunks\n`);
    }
    return reportFailed(context.stderr, result.failed, { json, doneCount: result.files.length });
  });
}

function printFolders(
  { path, failed, ...result }: FolderUploadResult & { readonly path: string },
  args: ParsedArgs,
  { stdout, stderr }: CliContext,
): number {
  const { fileCount, sizeBytes, newBytes, dedupedBytes, xorbBytes, wallMs } = result;
  const json = args.flag('json');
  if (json) {
    writeJson(stdout, {
      ...{ type: 'result', path, fileCount, sizeBytes, newBytes, dedupedBytes, xorbBytes },
      wallMs: Math.round(wallMs),
      ...failedJson(failed),
    });
  } else {
    const row = [
      ...[nameText(stdout, path), countText(fileCount), bytesText(sizeBytes)],
      ...[bytesText(newBytes), percentText(dedupedBytes, sizeBytes)],
    ];
    stdout.write(tableText([['folder', 'files', 'size', 'new', 'deduplicated'], row]));
    stdout.write(`would send ${bytesText(xorbBytes)} of packed chunks\n`);
  }
  return reportFailed(stderr, failed, { json, doneCount: 1 });
}
