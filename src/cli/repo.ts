import { EXIT, isOrbweaverError, OrbweaverError } from '../errors.js';
import {
  openRepositories,
  openStore,
  type Repositories,
  type RepositoryInfo,
  tenantStore,
} from '../gateway.js';
import { defineCommand, type ParsedArgs, usage } from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { placeOf, S3_OPTIONS, s3Of } from './place.js';

export const repoCommand: Command = defineCommand({
  usage: [
    'repo create TYPE/NAMESPACE/NAME --data PLACE [--private]',
    'repo ls [TYPE] --data PLACE',
    'repo rm TYPE/NAMESPACE/NAME --data PLACE',
    'repo squash TYPE/NAMESPACE/NAME --data PLACE [--branch B] [--message TEXT]',
  ],
  about: `Makes, lists and removes the repositories that "orbweaver serve" shows to clients of the Hub, in the
store itself: gateways over it see the change at once. TYPE is model, dataset, space, or git for a git
repository elsewhere whose files of Git LFS are kept here.`,
  options: [
    { name: 'data', value: 'PLACE', help: 'the store, as serve --data names it' },
    ...S3_OPTIONS,
    { name: 'tenant', value: 'T', help: 'whose they are', fallback: 'the root of the store' },
    { name: 'private', help: 'create: clients are told that it is private' },
    { name: 'branch', value: 'B', help: 'squash: which one', fallback: 'main' },
    { name: 'message', value: 'TEXT', help: 'squash: title of the commit', fallback: '"Squash B"' },
  ],
  notes: `"repo squash" makes what a branch holds now its only commit. Files that no repository needs any more
stay in the store until they are collected.

With --json: create and rm {"name"}; ls {"repositories":[{"name","private","createdAt","modifiedAt",
"head","refs"}]}; squash {"name","commit"}.`,
  run: repo,
});

async function repo(args: ParsedArgs, context: CliContext): Promise<number> {
  const place = args.text('data');
  if (place === undefined) throw usage('repo expected --data PLACE');
  const [action, name, ...others] = args.positionals;
  if (others.length > 0) throw usage(`repo takes no "${others[0]}"`);
  const root = await openStore(placeOf(place, context), { s3: s3Of(args) });
  try {
    const repos = openRepositories(tenantStore(root, args.text('tenant')));
    return await asUsage(run(repos, { action, name, args, context }));
  } finally {
    await root.close?.();
  }
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
  if (name === undefined) throw usage('repo expected create, ls, rm or squash, and a repository');
  if (action === 'create') await repos.create(name, { isPrivate: args.flag('private') });
  else if (action === 'rm') await repos.remove(name);
  else if (action === 'squash') {
    const [branch, message] = [args.text('branch'), args.text('message')];
    const commit = await repos.squash(name, { branch, message });
    if (isJson) writeJson(stdout, { name, commit });
    else stdout.write(`${commit}\n`);
    return EXIT.ok;
  } else throw usage(`repo expected create, ls, rm or squash, got "${action}"`);
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
