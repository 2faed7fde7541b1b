import { EXIT, isOrbweaverError, OrbweaverError } from '../errors.js';
import {
  type ObjectStore,
  openRepositories,
  pruneRepositories,
  type Repositories,
  type RepositoryInfo,
  recountCounted,
  tenantStore,
} from '../gateway.js';
import { loadKernels } from '../index.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { S3_OPTIONS } from './place.js';
import { openPlace } from './store-place.js';
import { bytesText, pluralText } from './text.js';

export const repoCommand: Command = defineCommand({
  usage: [
    'repo create TYPE/NAMESPACE/NAME --data PLACE [--private]',
    'repo ls [TYPE] --data PLACE',
    'repo rm TYPE/NAMESPACE/NAME --data PLACE',
    'repo squash TYPE/NAMESPACE/NAME --data PLACE [--branch B] [--message TEXT]',
    'repo prune --data PLACE [--grace SECONDS] [--dry-run]',
  ],
  about: `Makes, lists and removes the repositories that "orbweaver serve" shows to clients of the Hub, in the
store itself: gateways over it see the change at once. TYPE is model, dataset, space, bucket, or git for
a git repository elsewhere whose files of Git LFS are kept here.`,
  options: [
    { name: 'data', value: 'PLACE', help: 'the store, as serve --data names it' },
    ...S3_OPTIONS,
    { name: 'tenant', value: 'T', help: 'whose they are', fallback: 'the root of the store' },
    { name: 'private', help: 'create: clients are told that it is private' },
    { name: 'branch', value: 'B', help: 'squash: which one', fallback: 'main' },
    { name: 'message', value: 'TEXT', help: 'squash: title of the commit', fallback: '"Squash B"' },
    {
      name: 'grace',
      value: 'SECONDS',
      help: 'prune: younger commits keep what they hold',
      fallback: '604800, a week',
    },
    { name: 'dry-run', help: 'prune: removes nothing, says what there is' },
  ],
  notes: `"repo squash" makes what a branch holds now its only commit. "repo prune" takes files out of the store
that were in repositories and that none needs any more; "store gc" deletes what only they needed. A file
that was never in a repository stays.

With --json: create and rm {"name"}; ls {"repositories":[{"name","private","createdAt","modifiedAt",
"head","refs"}]}; squash {"name","commit"}; prune {"files","bytes","objects","lost"}.`,
  words: ['create', 'ls', 'rm', 'squash', 'prune'],
  run: repo,
});

async function repo(args: ParsedArgs, context: CliContext): Promise<number> {
  const place = args.text('data');
  if (place === undefined) throw usage('repo expected --data PLACE');
  const [action, name, ...others] = args.positionals;
  if (others.length > 0) throw usage(`repo takes no "${others[0]}"`);
  const root = await openPlace(place, { args, context, isMade: action === 'create' });
  try {
    const store = tenantStore(root, args.text('tenant'));
    if (action === 'prune') return await prune(store, args, context);
    const repos = openRepositories(store);
    return await asUsage(run(repos, { action, name, args, context }));
  } finally {
    await root.close?.();
  }
}

async function prune(
  store: ObjectStore,
  args: ParsedArgs,
  { stdout }: CliContext,
): Promise<number> {
  if (args.positionals.length > 1) throw usage('repo prune takes no repository');
  const { hasher } = await loadKernels();
  const grace = args.count('grace');
  const dryRun = args.flag('dry-run');
  const graceMs = grace === undefined ? undefined : 1000 * grace;
  const pruned = await pruneRepositories(store, { hasher, graceMs, dryRun });
  if (!dryRun) await recountCounted(store, { hasher });
  if (args.flag('json')) writeJson(stdout, pruned);
  else {
    const { files, bytes, lost } = pruned;
    const what = `${pluralText(files, 'file')}, ${bytesText(bytes)}`;
    stdout.write(`${dryRun ? 'would remove' : 'removed'} ${what}\n`);
    for (const file of lost) stdout.write(`committed again meanwhile, send it again: ${file}\n`);
  }
  return pruned.lost.length === 0 ? EXIT.ok : EXIT.partial;
}

interface Asked {
  readonly action: string | undefined;
  readonly name: string | undefined;
  readonly args: ParsedArgs;
  readonly context: CliContext;
}

async function run(repos: Repositories, { action, name, args, context }: Asked): Promise<number> {
  const { stdout } = context;
  const isJson = args.flag('json');
  if (action === 'ls') {
    const found: RepositoryInfo[] = [];
    for await (const each of repos.list(name)) found.push(each);
    if (isJson) writeJson(stdout, { repositories: found.map(jsonOf) });
    else for (const each of found) stdout.write(`${lineOf(each)}\n`);
    return EXIT.ok;
  }
  if (name === undefined)
    throw usage('repo expected create, ls, rm, squash or prune, and a repository');
  if (action === 'create') await repos.create(name, { isPrivate: args.flag('private') });
  else if (action === 'rm') await repos.remove(name);
  else if (action === 'squash') {
    const [branch, message] = [args.text('branch'), args.text('message')];
    const commit = await repos.squash(name, { branch, message });
    if (isJson) writeJson(stdout, { name, commit });
    else stdout.write(`${commit}\n`);
    return EXIT.ok;
  } else throw usage(`repo expected create, ls, rm, squash or prune, got "${action}"`);
  if (isJson) writeJson(stdout, { name });
  else stdout.write(`${name}\n`);
  return EXIT.ok;
}

const iso = (ms: number): string => new Date(ms).toISOString();

function jsonOf({
  name,
  isPrivate,
  createdMs,
  modifiedMs,
  head,
  refCount,
}: RepositoryInfo): unknown {
  const [createdAt, modifiedAt] = [iso(createdMs), iso(modifiedMs)];
  return { name, private: isPrivate, createdAt, modifiedAt, head, refs: refCount };
}

function lineOf({ name, modifiedMs, head }: RepositoryInfo): string {
  return `${iso(modifiedMs)}  ${(head ?? '-').slice(0, 12).padEnd(12)}  ${name}`;
}

/** A name that cannot be one is a mistake on the command line. */
async function asUsage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isOrbweaverError(error) && error.code === 'REJECTED') {
      throw new OrbweaverError('USAGE', error.message, {}, error);
    }
    throw error;
  }
}
