import { EXIT, OrbweaverError } from '../errors.js';
import {
  listStoredFiles,
  recountCounted,
  removeStoredFiles,
  type StoredFile,
  type StoreStats,
  storeStats,
} from '../gateway.js';
import { loadKernels } from '../index.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { writeLines } from './ls.js';
import { writeJson } from './output.js';
import { parseHashes } from './store-hashes.js';
import { openPlace, type Part, partsOf } from './store-place.js';
import { bytesText, countText } from './text.js';

/** `store ls PLACE` */
export async function ls(args: ParsedArgs, context: CliContext): Promise<number> {
  const parts = await partsOf(await openPlace(args.positionals[1], { args, context }), args);
  const { hasher } = await loadKernels();
  const json = args.flag('json');
  const lines = async function* (): AsyncGenerator<string> {
    for (const { tenant, store } of parts) {
      for await (const file of listStoredFiles(store, { hasher })) {
        yield json ? JSON.stringify(lineOf(file, tenant)) : textOf(file, tenant);
      }
    }
  };
  await writeLines(context.stdout, lines());
  return EXIT.ok;
}

const dateOf = ({ createdMs }: StoredFile): string => new Date(createdMs).toISOString();

function lineOf(file: StoredFile, tenant: string | undefined): object {
  const { fileHash, sizeBytes } = file;
  const more = tenant === undefined ? {} : { tenant };
  return { fileHash, sizeBytes, createdAt: dateOf(file), ...more };
}

function textOf(file: StoredFile, tenant: string | undefined): string {
  const size = file.sizeBytes === null ? 'damaged' : String(file.sizeBytes);
  const date = dateOf(file).slice(0, 19).replace('T', ' ');
  return `${file.fileHash}  ${size.padStart(14)}  ${date}${tenant === undefined ? '' : `  ${tenant}`}`;
}

/** `store stats PLACE` */
export async function stats(args: ParsedArgs, context: CliContext): Promise<number> {
  const parts = await partsOf(await openPlace(args.positionals[1], { args, context }), args);
  const { hasher } = await loadKernels();
  const found: { readonly part: Part; readonly stats: StoreStats }[] = [];
  for (const part of parts) {
    found.push({ part, stats: await storeStats(part.store, { hasher, signal: context.signal }) });
  }
  const names = ['files', 'logicalBytes', 'uniqueBytes', 'storedBytes', 'objects'] as const;
  const all = Object.fromEntries(
    names.map((name) => [name, found.reduce((sum, each) => sum + each.stats[name], 0)]),
  ) as unknown as StoreStats;
  const tenants = found.flatMap(({ part, stats: own }) =>
    part.tenant === undefined ? [] : [{ tenant: part.tenant, ...own }],
  );
  if (args.flag('json')) {
    writeJson(context.stdout, { ...all, ...(tenants.length === 0 ? {} : { tenants }) });
    return EXIT.ok;
  }
  const text = (own: StoreStats): string =>
    `files    ${countText(own.files)}
logical  ${bytesText(own.logicalBytes)}
unique   ${bytesText(own.uniqueBytes)}
stored   ${bytesText(own.storedBytes)} in ${countText(own.objects)} objects
`;
  context.stdout.write(text(all));
  for (const { tenant, ...own } of tenants)
    context.stdout.write(`\ntenant ${tenant}\n${text(own)}`);
  return EXIT.ok;
}

/** `store rm PLACE HASH… [--force]`: of the root, or of --tenant. */
export async function rm(args: ParsedArgs, context: CliContext): Promise<number> {
  const [, place, ...texts] = args.positionals;
  if (texts.length === 0) throw usage('store rm expected PLACE and at least one HASH');
  const hashes = parseHashes(texts);
  const parts = await partsOf(await openPlace(place, { args, context }), args);
  const { store } = parts[0] as Part;
  const { hasher } = await loadKernels();
  const done = await removeStoredFiles(store, hashes, { hasher, force: args.flag('force') });
  await recountCounted(store, { hasher });
  const removed = done.removed.map(String);
  const missing = done.missing.map(String);
  if (removed.length === 0) {
    throw new OrbweaverError('NOT_FOUND', `the store has no file ${missing.join(', ')}`);
  }
  if (args.flag('json')) writeJson(context.stdout, { type: 'result', removed, missing });
  else {
    context.stdout.write(removed.map((hash) => `removed ${hash}\n`).join(''));
    for (const hash of missing) context.stderr.write(`orbweaver: the store has no file ${hash}\n`);
  }
  return missing.length === 0 ? EXIT.ok : EXIT.partial;
}
