import type { FilePlan, FolderPlan, ZipPlan } from '../index.js';
import type { CliContext } from './context.js';
import { failedJson, writeJson } from './output.js';
import { bytesText, pluralText, printable } from './text.js';

/** What `download --dry-run` says. */

type Plan = FilePlan | FolderPlan | ZipPlan;

/** Prints what would be fetched. */
export function tellPlan(
  { stdout, stderr }: CliContext,
  {
    out,
    plan,
    json,
    toStdout = false,
  }: {
    readonly out: string;
    readonly plan: Plan;
    readonly json: boolean;
    readonly toStdout?: boolean;
  },
): void {
  if (json) writeJson(toStdout ? stderr : stdout, lineOf(out, plan));
  else stderr.write(sentenceOf(out, plan));
}

/** The contract of docs/cli.md. */
function lineOf(path: string, plan: Plan): object {
  if (!('failed' in plan)) return { type: 'result', path, ...plan };
  const { failed, ...rest } = plan;
  return { type: 'result', path, ...rest, ...failedJson(failed) };
}

function sentenceOf(path: string, plan: Plan): string {
  const { sizeBytes, fetchBytes, rangeCount, requestCount, hosts } = plan;
  const from = hosts.map(({ host }) => host).join(', ');
  const local = 'resumedBytes' in plan ? localText(plan) : '';
  return (
    `${printable(path)}: ${filesText(plan)}${bytesText(sizeBytes)}, would fetch ${bytesText(fetchBytes)} in ` +
    `${pluralText(rangeCount, 'range')} with ${pluralText(requestCount, 'request')}` +
    `${from === '' ? '' : ` from ${from}`}${local}\n`
  );
}

function filesText(plan: Plan): string {
  if (!('fileCount' in plan)) return '';
  const files = pluralText(plan.fileCount, 'file');
  if (!('folderCount' in plan)) return `${files}, `;
  const { keptCount, folderCount } = plan;
  const kept = keptCount === 0 ? '' : `, ${keptCount} left as they are`;
  return `${files} in ${pluralText(folderCount, 'folder')}${kept}, `;
}

/** What need not be fetched. */
export function localText({
  resumedBytes,
  seededBytes,
}: Pick<FilePlan, 'resumedBytes' | 'seededBytes'>): string {
  const resumed = resumedBytes > 0 ? `, ${bytesText(resumedBytes)} were there already` : '';
  return seededBytes > 0 ? `${resumed}, ${bytesText(seededBytes)} came from local files` : resumed;
}
