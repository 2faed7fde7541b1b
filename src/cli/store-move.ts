import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import {
  type Archived,
  type Copied,
  copyStore,
  exportToArchive,
  importFromArchive,
  nameTenant,
  recountCounted,
  tenantStore,
} from '../gateway.js';
import { loadKernels } from '../index.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { writeJson } from './output.js';
import { openPlace, type Part, partsOf } from './store-place.js';
import { bytesText, pluralText } from './text.js';

/** `store copy FROM TO` */
export async function copy(args: ParsedArgs, context: CliContext): Promise<number> {
  const [, from, to] = args.positionals;
  if (to === undefined) throw usage('expected store copy FROM TO');
  const source = await openPlace(from, { args, context });
  const target = await openPlace(to, { args, context, isMade: true });
  const { hasher, codec } = await loadKernels();
  const results: Copied[] = [];
  for (const { tenant, store } of await partsOf(source, args)) {
    if (tenant !== undefined) await nameTenant(target, tenant);
    const place = tenantStore(target, tenant);
    results.push(await copyStore(store, place, { hasher, codec, signal: context.signal }));
    await recountCounted(place, { hasher });
  }
  const sum = (name: 'files' | 'knownFiles' | 'xorbs' | 'bytes'): number =>
    results.reduce((all, each) => all + each[name], 0);
  const result = {
    files: sum('files'),
    knownFiles: sum('knownFiles'),
    xorbs: sum('xorbs'),
    bytes: sum('bytes'),
    failed: results.flatMap(({ failed }) => failed),
  };
  if (args.flag('json')) writeJson(context.stdout, { type: 'result', ...result });
  else {
    context.stdout.write(
      `copied ${pluralText(result.files, 'file')}, ${bytesText(result.bytes)}; ${pluralText(result.knownFiles, 'file')} were there\n`,
    );
    for (const hash of result.failed) {
      context.stderr.write(
        `orbweaver: ${hash.includes('/') ? hash : `file ${hash}`} is damaged and was left out (INTEGRITY)\n`,
      );
    }
  }
  return result.failed.length === 0 ? EXIT.ok : EXIT.integrity;
}

/** `store export PLACE HASH… -o ARCHIVE` */
export async function exportCommand(args: ParsedArgs, context: CliContext): Promise<number> {
  const [, place, ...hashes] = args.positionals;
  const output = args.text('output');
  if (hashes.length === 0) throw usage('store export expected PLACE and at least one HASH');
  if (output === undefined) throw usage('store export expected -o ARCHIVE');
  const { store } = await onePart(place, { args, context });
  const { hasher, codec } = await loadKernels();
  const path = resolve(context.cwd, output);
  const done = await exportToArchive(store, hashes, {
    hasher,
    codec,
    path,
    signal: context.signal,
  });
  return tell(done, 'exported', { args, context });
}

/** `store import PLACE ARCHIVE` */
export async function importCommand(args: ParsedArgs, context: CliContext): Promise<number> {
  const [, place, archive] = args.positionals;
  if (archive === undefined) throw usage('expected store import PLACE ARCHIVE');
  const { store } = await onePart(place, { args, context, isMade: true });
  const { hasher, codec } = await loadKernels();
  const path = resolve(context.cwd, archive);
  const done = await importFromArchive(store, { hasher, codec, path, signal: context.signal });
  await recountCounted(store, { hasher });
  return tell(done, 'imported', { args, context });
}

/** The root, or the part of --tenant. */
async function onePart(
  place: string | undefined,
  options: {
    readonly args: ParsedArgs;
    readonly context: CliContext;
    readonly isMade?: boolean;
  },
): Promise<Part> {
  const root = await openPlace(place, options);
  const tenant = options.args.text('tenant');
  if (tenant !== undefined && options.isMade === true) await nameTenant(root, tenant);
  return { tenant, store: tenantStore(root, tenant) };
}

function tell(
  { files, xorbs, bytes }: Archived,
  what: string,
  { args, context }: { readonly args: ParsedArgs; readonly context: CliContext },
): number {
  if (args.flag('json')) writeJson(context.stdout, { type: 'result', files, xorbs, bytes });
  else {
    context.stdout.write(
      `${what} ${pluralText(files.length, 'file')}: ${pluralText(xorbs, 'xorb')}, ${bytesText(bytes)}\n`,
    );
  }
  return EXIT.ok;
}
