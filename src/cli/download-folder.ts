import { resolve } from 'node:path';
import type {
  FolderDownloadOptions,
  FolderDownloadResult,
  FolderPlan,
  OrbweaverClient,
} from '../index.js';
import type { ParsedArgs } from './command.js';
import type { CliContext } from './context.js';
import { failedJson, reportFailed, writeJson } from './output.js';
import { tellPlan } from './plan.js';
import { downloadState, type Reporter } from './reporter.js';
import { bytesText, pluralText, printable, rateText } from './text.js';

/** Restores the folder of a manifest into `out`. */
export async function downloadFolder(
  client: OrbweaverClient,
  request: { readonly hash: string; readonly out: string; readonly seeds: readonly string[] },
  { args, context, reporter }: { args: ParsedArgs; context: CliContext; reporter: Reporter },
): Promise<number> {
  const { hash, out, seeds } = request;
  const json = args.flag('json');
  const options: FolderDownloadOptions = {
    to: resolve(context.cwd, out),
    seeds,
    resume: !args.flag('no-resume'),
    existing: args.flag('no-clobber') ? 'keep' : 'replace',
    names: args.text('names') as FolderDownloadOptions['names'],
    signal: context.signal,
    onProgress: (progress) => {
      const { doneFileCount, fileCount } = progress;
      reporter.update({ ...downloadState(progress), doneFileCount, fileCount });
    },
  };
  if (args.flag('dry-run')) {
    const plan = await client.planFolder(hash, options);
    reporter.clear();
    tellPlan(context, { out, plan, json });
    return reportFailed(context.stderr, plan.failed, { json, doneCount: doneCountOf(plan) });
  }
  const result = await client.downloadFolder(hash, options);
  reporter.clear();
  if (json) writeJson(context.stdout, jsonOf(result, out));
  else if (!args.flag('quiet')) context.stderr.write(summaryOf(result, out));
  return reportFailed(context.stderr, result.failed, { json, doneCount: doneCountOf(result) });
}

function doneCountOf({
  fileCount,
  folderCount,
  symlinkCount,
  keptCount,
}: Pick<FolderPlan, 'fileCount' | 'folderCount' | 'symlinkCount' | 'keptCount'>): number {
  return fileCount + folderCount + symlinkCount + keptCount;
}

/** The contract of docs/cli.md. */
function jsonOf(result: FolderDownloadResult, path: string): object {
  const { failed, wallMs, ...rest } = result;
  return {
    type: 'result',
    path,
    ...rest,
    wallMs: Math.round(wallMs),
    ...failedJson(failed),
  };
}

function summaryOf(result: FolderDownloadResult, out: string): string {
  const { fileCount, folderCount, keptCount, sizeBytes, fetchedBytes, requestCount, wallMs } =
    result;
  const seeded =
    result.seededBytes === 0 ? '' : `, ${bytesText(result.seededBytes)} came from local files`;
  const kept = keptCount === 0 ? '' : `, ${keptCount} left as they were`;
  return (
    `${printable(out)}: ${pluralText(fileCount, 'file')} in ${pluralText(folderCount, 'folder')}${kept}, ` +
    `${bytesText(sizeBytes)}, fetched ${bytesText(fetchedBytes)} in ${pluralText(requestCount, 'request')}, ` +
    `${rateText(sizeBytes, wallMs)}${seeded}\n`
  );
}
