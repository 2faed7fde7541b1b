import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import process from 'node:process';
import { EXIT, OrbweaverError } from '../errors.js';
import { startGateway } from '../gateway.js';
import type { UploadResult } from '../index.js';
import { COMPUTE, defineCommand, type ParsedArgs } from './command.js';
import { computeOptionsOf, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { editedCopy, firstDifference, folderBytes } from './demo-files.js';
import { writeJson } from './output.js';
import { bytesText, countText, rateText, tableText } from './text.js';

export const demoCommand: Command = defineCommand({
  usage: ['demo [FILE...] [OPTIONS]'],
  about: `Starts a gateway on a temporary folder, uploads each FILE, then a second version of it with
bytes inserted and removed, downloads both and a range, compares every byte, prints what it cost
and cleans up. Without FILE it takes the Node executable that runs it (about 100 MB).`,
  options: COMPUTE,
  run: demo,
});

/** One line of the demo's table. */
interface Step {
  readonly step: string;
  readonly sizeBytes: number;
  readonly chunkCount: number | null;
  readonly newBytes: number | null;
  readonly dedupedBytes: number | null;
  /** Bytes that crossed the wire: xorbs sent, or ranges fetched. */
  readonly wireBytes: number;
  /** Bytes in the gateway's folder afterwards. */
  readonly storedBytes: number;
  readonly wallMs: number;
}

async function demo(args: ParsedArgs, context: CliContext): Promise<number> {
  const files =
    args.positionals.length > 0
      ? args.positionals.map((path) => resolve(context.cwd, path))
      : [process.execPath];
  for (const path of files) {
    if ((await stat(path).catch(() => null))?.isFile() === true) continue;
    const text = `"${path}" expected a file to demonstrate with, got none of that name`;
    throw new OrbweaverError('INPUT_NOT_FOUND', text);
  }
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-demo-'));
  const say = (text: string): void => {
    if (!args.flag('json') && !args.flag('quiet')) context.stderr.write(text);
  };
  try {
    const data = join(folder, 'store');
    const gateway = await startGateway({ data, host: '127.0.0.1', port: 0 });
    const client = await openClient({
      endpoint: gateway.url,
      token: gateway.writeToken,
      ...computeOptionsOf(args),
    });
    const steps: Step[] = [];
    try {
      say(`gateway at ${gateway.url}, ${client.threads} workers, ${client.tier} kernels\n`);
      for (const file of files) {
        await demoFile({ file, folder, data, client, steps, context });
      }
    } finally {
      await client.close();
      await gateway.close();
    }
    if (args.flag('json')) writeJson(context.stdout, { type: 'result', steps });
    else context.stdout.write(table(steps));
    say('every byte of every download was compared and is right\n');
    return EXIT.ok;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface DemoRun {
  readonly file: string;
  readonly folder: string;
  readonly data: string;
  readonly client: Awaited<ReturnType<typeof openClient>>;
  readonly steps: Step[];
  readonly context: CliContext;
}

async function demoFile(run: DemoRun): Promise<void> {
  const { file, folder, data, client, steps, context } = run;
  const { signal } = context;
  const name = basename(file);
  const edited = join(folder, `${name}.edited`);
  await editedCopy(file, edited);

  const upload = async (path: string, label: string): Promise<string> => {
    const result = await client.upload([path], { signal });
    const [failed] = result.failed;
    if (failed !== undefined) throw new OrbweaverError(failed.code, failed.message);
    steps.push(await uploadStep(label, result, data));
    return (result.files[0] as UploadResult['files'][number]).fileHash;
  };
  const first = await upload(file, `upload ${name}`);
  const second = await upload(edited, 'upload edited copy');

  const download = async (
    hash: string,
    original: string,
    label: string,
    range?: { offset: number; length: number },
  ): Promise<void> => {
    const out = join(folder, 'out');
    const result = await client.download(hash, { to: out, signal, ...range });
    const difference = await firstDifference(original, out, range?.offset ?? 0, range?.length);
    if (difference !== null) {
      throw new OrbweaverError(
        'INTEGRITY',
        `${label}: byte ${difference} differs from the original`,
      );
    }
    steps.push({
      step: label,
      sizeBytes: result.sizeBytes,
      chunkCount: null,
      newBytes: null,
      dedupedBytes: null,
      wireBytes: result.fetchedBytes,
      storedBytes: await folderBytes(data),
      wallMs: result.wallMs,
    });
    await rm(out);
  };
  await download(first, file, `download ${name}`);
  await download(second, edited, 'download edited copy');
  const { size } = await stat(edited);
  const length = Math.min(1_000_000, Math.ceil(size / 3));
  await download(second, edited, 'download a range', {
    offset: Math.floor(size / 2),
    length: Math.min(length, size - Math.floor(size / 2)),
  });
  await rm(edited);
}

async function uploadStep(step: string, result: UploadResult, data: string): Promise<Step> {
  const [file] = result.files;
  return {
    step,
    sizeBytes: file?.sizeBytes ?? 0,
    chunkCount: file?.chunkCount ?? 0,
    newBytes: file?.newBytes ?? 0,
    dedupedBytes: file?.dedupedBytes ?? 0,
    wireBytes: result.xorbBytes + result.shardBytes,
    storedBytes: await folderBytes(data),
    wallMs: result.wallMs,
  };
}

function table(steps: readonly Step[]): string {
  const optional = (value: number | null, text: (value: number) => string): string =>
    value === null ? '' : text(value);
  return tableText([
    ['step', 'size', 'chunks', 'new', 'deduplicated', 'on the wire', 'stored in all', 'throughput'],
    ...steps.map((step) => [
      step.step,
      bytesText(step.sizeBytes),
      optional(step.chunkCount, countText),
      optional(step.newBytes, bytesText),
      optional(step.dedupedBytes, bytesText),
      bytesText(step.wireBytes),
      bytesText(step.storedBytes),
      rateText(step.sizeBytes, step.wallMs),
    ]),
  ]);
}
