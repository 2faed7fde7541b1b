import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import {
  COLLECT_DEFAULTS,
  type Collected,
  collectGarbage,
  createStoreRepair,
  type DamagedObject,
  forgetScrub,
  type RepairUpstream,
  recountCounted,
  scrubStore,
} from '../gateway.js';
import { loadKernels } from '../index.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { writeJson } from './output.js';
import { openPlace, type Part, partsOf } from './store-place.js';
import { bytesText, pluralText } from './text.js';

/** `store gc PLACE` */
export async function gc(args: ParsedArgs, context: CliContext): Promise<number> {
  const parts = await partsOf(await openPlace(args.positionals[1], { args, context }), args);
  const { hasher } = await loadKernels();
  const grace = args.count('grace');
  const dryRun = args.flag('dry-run');
  const results: Collected[] = [];
  for (const { store } of parts) {
    const { signal } = context;
    results.push(
      await collectGarbage(store, {
        hasher,
        dryRun,
        signal,
        graceMs: grace === undefined ? undefined : 1000 * grace,
        maxMemory: args.bytes('max-memory'),
      }),
    );
  }
  if (!dryRun) {
    for (const { store } of parts) await recountCounted(store, { hasher });
  }
  const sum = (name: keyof Collected): number => results.reduce((all, each) => all + each[name], 0);
  const result: Collected = {
    deletedObjects: sum('deletedObjects'),
    deletedBytes: sum('deletedBytes'),
    keptObjects: sum('keptObjects'),
    keptBytes: sum('keptBytes'),
    waitingObjects: sum('waitingObjects'),
    waitingBytes: sum('waitingBytes'),
    droppedUploads: sum('droppedUploads'),
  };
  if (args.flag('json')) {
    writeJson(context.stdout, { type: 'result', ...result });
    return EXIT.ok;
  }
  const line = (what: string, objects: number, bytes: number): string =>
    `${what} ${pluralText(objects, 'object')}, ${bytesText(bytes)}\n`;
  context.stdout.write(
    line(dryRun ? 'would delete' : 'deleted', result.deletedObjects, result.deletedBytes) +
      line('kept', result.keptObjects, result.keptBytes),
  );
  if (result.waitingObjects > 0) {
    const seconds = grace ?? COLLECT_DEFAULTS.graceMs / 1000;
    context.stdout.write(
      `of those ${pluralText(result.waitingObjects, 'object')}, ${bytesText(result.waitingBytes)}, that no file needs: a run goes on with them when ${seconds} s have passed\n`,
    );
  }
  return EXIT.ok;
}

/** `store scrub PLACE` */
export async function scrub(args: ParsedArgs, context: CliContext): Promise<number> {
  const rate = args.bytes('rate');
  if (rate === 0) throw usage('--rate expected bytes per second above 0');
  const sample = sampleOf(args);
  const parts = await partsOf(await openPlace(args.positionals[1], { args, context }), args);
  const { hasher, codec } = await loadKernels();
  const { signal } = context;
  const upstream = await upstreamOf(args, context);
  const resume = args.flag('resume');
  if (!resume) for (const { store } of parts) await forgetScrub(store);
  const damaged: DamagedObject[] = [];
  const repaired: string[] = [];
  let checkedObjects = 0;
  let checkedBytes = 0;
  for (const part of parts) {
    const source =
      upstream === undefined
        ? undefined
        : await createStoreRepair(part.store, { hasher, codec, upstream, signal });
    const repair = source?.repair;
    const found = await scrubStore(part.store, {
      ...{ hasher, codec, rate, sample, resume, keepResult: true, repair, signal },
    }).finally(() => source?.close());
    checkedObjects += found.checkedObjects;
    checkedBytes += found.checkedBytes;
    for (const each of found.damaged) damaged.push({ ...each, key: below(part, each.key) });
    for (const key of found.repaired) repaired.push(below(part, key));
  }
  for (const { store } of parts) await forgetScrub(store);
  if (args.flag('json')) {
    writeJson(context.stdout, { type: 'result', checkedObjects, checkedBytes, damaged, repaired });
  } else {
    for (const { key, files, repositories } of damaged) {
      const hit = [
        ...files.map((file) => `  file ${file}\n`),
        ...repositories.map((name) => `  repository ${name}\n`),
      ];
      context.stdout.write(`damaged ${key}\n${hit.join('')}`);
    }
    context.stdout.write(
      `checked ${pluralText(checkedObjects, 'object')}, ${bytesText(checkedBytes)}: ${damaged.length} damaged\n`,
    );
    for (const key of repaired) context.stdout.write(`repaired ${key}\n`);
    const [ofHub, others] = [damaged.filter(isOfHub), damaged.filter((each) => !isOfHub(each))];
    if (others.length > 0) context.stderr.write('uploading these files again repairs the store\n');
    if (ofHub.length > 0) {
      context.stderr.write('store copy from a backup brings objects of repositories back\n');
    }
  }
  return damaged.length === 0 ? EXIT.ok : EXIT.integrity;
}

const isOfHub = ({ key }: DamagedObject): boolean => /(?:^|\/)hub-[a-z]+\//.test(key);

/** --sample as a share. */
function sampleOf(args: ParsedArgs): number | undefined {
  const text = args.text('sample');
  if (text === undefined) return undefined;
  const percent = /^\d+(?:\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : 0;
  if (percent > 0 && percent <= 100) return percent / 100;
  throw usage(`--sample expected percent of the objects, above 0 and at most 100, got "${text}"`);
}

/** The store of --repair, and its token. */
async function upstreamOf(
  args: ParsedArgs,
  { cwd, env }: CliContext,
): Promise<RepairUpstream | undefined> {
  const endpoint = args.text('repair');
  const file = args.text('repair-token-file');
  if (endpoint === undefined) {
    if (file === undefined) return undefined;
    throw usage('--repair-token-file needs --repair');
  }
  if (!/^https?:\/\//.test(endpoint) || !URL.canParse(endpoint)) {
    throw usage(`--repair expected an http or https URL, got "${endpoint}"`);
  }
  if (file === undefined) return { endpoint, token: env['ORBWEAVER_UPSTREAM_TOKEN'] || undefined };
  try {
    return { endpoint, token: (await readFile(resolve(cwd, file), 'utf8')).trim() };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw usage(`--repair-token-file expected a file that can be read: "${file}" (${code})`);
  }
}

const below = ({ tenant }: Part, key: string): string =>
  tenant === undefined ? key : `tenants/${tenant}/${key}`;
