import { EXIT } from '../errors.js';
import {
  cancelStoredTransfer,
  defaultJournalFolder,
  findTransfer,
  forgetTransfer,
  listTransfers,
  type StoredTargetUpload,
  type StoredTransfer,
} from '../targets.js';
import { CACHE } from './cache.js';
import {
  COMPUTE,
  defineCommand,
  LIMITS,
  NETWORK,
  type OptionSpec,
  type ParsedArgs,
  TOKEN_URL,
  usage,
} from './command.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { networkSettingsOf } from './settings.js';
import { stateFolderOf } from './state.js';
import { bytesText, pluralText, printable } from './text.js';
import { BASE, GRANTS, MAX_XORB_BYTES } from './upload-options.js';
import { settingsOf, tokenOf, uploadTo } from './upload-to.js';
import { UPLOAD_TO_OPTIONS } from './upload-to-options.js';

/** Options of an upload or edit that are remembered, and may be given anew. */
const UPLOAD_AGAIN: readonly OptionSpec[] = [BASE, GRANTS, ...CACHE, MAX_XORB_BYTES];

/** The former names of two actions. */
const FORMER_NAMES: Readonly<Record<string, string>> = { finish: 'resume', forget: 'drop' };

export const transfersCommand: Command = defineCommand({
  usage: [
    'transfers [list]',
    'transfers resume ID [OPTIONS]',
    'transfers drop ID',
    'transfers cancel ID [OPTIONS]',
  ],
  about: `Uploads and downloads that are not finished, those to other systems (upload --to) included: lists
them, goes on with one, or forgets it here. cancel gives an upload up at another system, too. Where
the outcome of a step is unknown, resume looks first. finish and forget are former names of resume
and drop.`,
  options: [
    {
      name: 'token',
      value: 'T',
      help: 'the token of the store or target',
      fallback: '$ORBWEAVER_TOKEN, $ORBWEAVER_<KIND>_TOKEN',
    },
    { name: 'token-file', value: 'FILE', help: 'the same, read from a file' },
    TOKEN_URL,
    {
      name: 'set',
      value: 'NAME=VALUE',
      help: 'a setting of the target; settings are not remembered',
      isRepeatable: true,
    },
    {
      name: 'state-dir',
      value: 'DIR',
      help: 'where transfers are remembered',
      fallback: '$XDG_STATE_HOME/orbweaver',
    },
    ...UPLOAD_AGAIN,
    ...NETWORK,
    ...LIMITS,
    ...COMPUTE,
    // What `resume` hands on to an upload that goes to another system.
    ...UPLOAD_TO_OPTIONS.filter(({ name }) => name === 'size' || name === 'accept-cost'),
  ],
  notes: `With --json: a line for each, {"kind":"upload","id","endpoint","path","paths","pathCount","sizeBytes",
"doneBytes","changedMs","busy","options"} (with "list":{"count","path"} for --files-from), {"kind":"edit",…,"fileHash","splices"}, {"kind":"download",…,
"fileHash"} or {"kind":"upload-to",…,"to","stage","partCount","ids":{…}}; resume prints what the command prints, cancel {"id","outcome"}, drop {"id"}.`,
  words: ['list', 'resume', 'drop', 'cancel'],
  run: transfers,
});

async function transfers(args: ParsedArgs, context: CliContext): Promise<number> {
  const [given = 'list', id, ...others] = args.positionals;
  if (others.length > 0) throw usage(`transfers takes no "${others[0]}"`);
  const action = FORMER_NAMES[given] ?? given;
  const folder = stateFolderOf(args, context) ?? defaultJournalFolder(context.env);
  if (action === 'list') return list(await listTransfers(folder), args, context);
  if (!['resume', 'cancel', 'drop'].includes(action)) {
    throw usage(`transfers expected list, resume, drop or cancel, got "${given}"`);
  }
  if (id === undefined) throw usage(`transfers ${given} expected an ID`);
  const found = await findTransfer(folder, id);
  const json = args.flag('json');
  if (action === 'drop') {
    await forgetTransfer(folder, id);
    if (json) writeJson(context.stdout, { id });
    return EXIT.ok;
  }
  if (action === 'cancel') {
    const isTarget = found.kind === 'upload-to';
    const kind = isTarget ? kindOf(found.to) : '';
    const url = isTarget ? found.to.slice(kind.length + 1) : found.endpoint;
    const { proxy, noProxy, ca } = await networkSettingsOf(url, args, context);
    const outcome = await cancelStoredTransfer({
      ...{ journalFolder: folder, id, proxy, noProxy, ca },
      token: isTarget ? await tokenOf(args, context, kind) : undefined,
      settings: settingsOf(args.texts('set')),
      signal: context.signal,
    });
    if (json) writeJson(context.stdout, { id, outcome });
    else context.stdout.write(`${outcome}\n`);
    return EXIT.ok;
  }
  if (found.kind === 'upload-to') {
    return uploadTo(args, context, { to: found.to, paths: [found.path] });
  }
  const argv = [...argvOf(found, args), '--state-dir', folder, ...handedOn(args)];
  return (await commandOf(found)).run(argv, {
    ...context,
    env: { ...context.env, ...envOf(found) },
  });
}

/** What of the environment it depends on. */
function envOf(found: StoredAtStore): Readonly<Record<string, string>> {
  const cache = found.kind === 'download' ? found.hub?.cache : undefined;
  return cache === undefined ? {} : { HF_HUB_CACHE: cache };
}

type StoredAtStore = Exclude<StoredTransfer, StoredTargetUpload>;

async function commandOf({ kind }: StoredAtStore): Promise<Command> {
  if (kind === 'edit') return (await import('./edit.js')).editCommand;
  if (kind === 'download') return (await import('./download.js')).downloadCommand;
  return (await import('./upload.js')).uploadCommand;
}

/** The command line that began a transfer, without what it read from elsewhere. @throws USAGE */
function argvOf(found: StoredAtStore, args: ParsedArgs): readonly string[] {
  const { path } = found;
  const hub = found.kind === 'edit' ? undefined : found.hub;
  if (hub?.address === null) {
    throw usage(
      `the transfer "${found.id}" was begun by a program, with more than a command line can say: run that again`,
    );
  }
  // The store of a repository is nothing that a command line could name.
  const endpoint = hub?.url ?? found.endpoint;
  const place = hub === undefined ? [] : [hub.address];
  const options = found.options.filter((option) => !isReplaced(option, args));
  if (found.kind === 'edit') {
    const splices = found.splices.map((splice) => `--splice=${splice}`);
    return [found.fileHash, ...splices, '--endpoint', endpoint, ...options];
  }
  if (found.kind === 'download' && hub !== undefined) {
    return [...place, '--endpoint', endpoint, ...options];
  }
  if (found.kind === 'download') {
    return [found.fileHash, '--output', path, '--endpoint', endpoint, ...options];
  }
  if (found.paths.length < found.pathCount) {
    throw usage(
      `the transfer "${found.id}" has ${found.pathCount} paths, more than were written down: run its command again`,
    );
  }
  const { list } = found;
  if (list?.path === null) {
    throw usage(
      `the transfer "${found.id}" has a list of ${pluralText(list.count, 'path')} that was not written down: run its command again`,
    );
  }
  const listed = list === undefined ? [] : [`--files-from=${list.path}`];
  // A path may begin with a dash only when it is relative, and these are not.
  return [...found.paths, ...place, ...listed, '--endpoint', endpoint, ...options];
}

/** Whether this command line says something else instead; of the cache all options are one. */
function isReplaced(option: string, args: ParsedArgs): boolean {
  const name = /^--([^=]+)/.exec(option)?.[1];
  const group = CACHE.some((each) => each.name === name)
    ? CACHE
    : UPLOAD_AGAIN.filter((each) => each.name === name);
  return group.some((each) => args.given.includes(each.name));
}

const HANDED_ON = [...UPLOAD_AGAIN, ...NETWORK, ...LIMITS, ...COMPUTE];

/** What this command line says that concerns any transfer. */
function handedOn(args: ParsedArgs): readonly string[] {
  const flags = ['json-stream', 'json', 'quiet', 'verbose', 'no-cache'].filter((name) =>
    args.flag(name),
  );
  const names = ['token', 'token-file', 'token-url', ...HANDED_ON.map(({ name }) => name)];
  const texts = names.flatMap((name) => {
    const value = args.text(name);
    const values = value === undefined ? args.texts(name) : [value];
    return values.map((each) => `--${name}=${each}`);
  });
  const isStream = flags.includes('json-stream');
  return [
    ...flags
      .filter((name) => name !== 'json-stream')
      .map((name) => (name === 'json' && isStream ? '--json=stream' : `--${name}`)),
    ...texts,
  ];
}

function kindOf(to: string): string {
  return to.slice(0, to.indexOf(':'));
}

function list(found: readonly StoredTransfer[], args: ParsedArgs, context: CliContext): number {
  if (args.flag('json')) {
    for (const transfer of found) writeJson(context.stdout, transfer);
    return EXIT.ok;
  }
  for (const transfer of found) {
    const { id, path, busy, changedMs } = transfer;
    const when = new Date(changedMs).toISOString();
    context.stdout.write(
      `${id}  ${busy ? 'running' : stageOf(transfer)}  ${printable(path)}${othersOf(transfer)}\n` +
        `  ${[when, ...placesOf(transfer)].join('  ')}\n`,
    );
  }
  if (found.length === 0 && !args.flag('quiet')) context.stderr.write('nothing is unfinished\n');
  return EXIT.ok;
}

/** How far it got: `upload, 1.2 GB of 3.0 GB`. */
function stageOf(transfer: StoredTransfer): string {
  const { kind, sizeBytes } = transfer;
  if (kind === 'upload-to') return `${transfer.stage}  ${bytesText(transfer.sizeBytes)}`;
  const done = kind === 'download' ? 'verified' : 'sent';
  const all = sizeBytes === null ? '' : ` of ${bytesText(sizeBytes)}`;
  return `${kind}  ${bytesText(transfer.doneBytes)} ${done}${all}`;
}

function othersOf(transfer: StoredTransfer): string {
  if (transfer.kind !== 'upload') return '';
  if (transfer.list !== undefined) return `, ${pluralText(transfer.list.count, 'path')} of a list`;
  return transfer.pathCount === 1 ? '' : ` and ${transfer.pathCount - 1} more`;
}

function placesOf(transfer: StoredTransfer): readonly string[] {
  if ('hub' in transfer && transfer.hub !== undefined) {
    return [transfer.hub.url, ...(transfer.hub.address === null ? [] : [transfer.hub.address])];
  }
  if (transfer.kind === 'upload') return [transfer.endpoint];
  if (transfer.kind !== 'upload-to') return [transfer.endpoint, transfer.fileHash];
  const { to, ids } = transfer;
  return [to, ...Object.entries(ids).map(([name, value]) => `${name}=${value}`)];
}
