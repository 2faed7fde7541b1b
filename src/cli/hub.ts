import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EXIT, isOrbweaverError, OrbweaverError } from '../errors.js';
import {
  createHub,
  defaultHubCache,
  type Hub,
  type HubAddress,
  type HubEntry,
  type HubFile,
  type HubFolderDownloadOptions,
  type HubFolderUploadOptions,
  type HubOptions,
  type HubTransport,
  type HubUploadOptions,
  type HubUploadResult,
  hubHome,
  parseHubAddress,
} from '../hub.js';
import type { ClientOptions, PlacementName } from '../index.js';
import { cacheOptionsOf } from './cache.js';
import { type ParsedArgs, usage } from './command.js';
import { asUsage, computeOptionsOf } from './compute.js';
import type { CliContext } from './context.js';
import { checkDestination, DOWNLOADS, UPLOADS } from './destinations.js';
import { withHubHint } from './hub-hints.js';
import { writeLines } from './ls.js';
import { failedJson, reportFailed, writeJson } from './output.js';
import { createReporter, type Reporter } from './reporter.js';
import { secretsOf } from './secrets.js';
import { settingsOf } from './settings.js';
import { stateFolderOf, stateWarning } from './state.js';
import { bytesText, nameText, pluralText, rateText } from './text.js';
import { basesOf } from './upload.js';
import { filesIn } from './upload-folder.js';
import { maxXorbBytesOf } from './upload-options.js';

/** What the commands do with `hf://` addresses. */

const PROGRESS: Readonly<Record<string, { readonly label: string; readonly wireLabel: string }>> = {
  upload: { label: 'uploading', wireLabel: 'sent' },
  download: { label: 'downloading', wireLabel: 'fetched' },
};

/** `upload PATH… hf://…`. */
export async function uploadToHub(args: ParsedArgs, context: CliContext): Promise<number> {
  const paths = args.positionals.slice(0, -1);
  const text = args.positionals.at(-1) ?? '';
  const address = parseHubAddress(text);
  const list = args.text('files-from');
  const [first = '.', ...others] = paths;
  if (paths.length === 0 && list === undefined) {
    throw usage('upload to a Hub expected at least one PATH before hf://…');
  }
  const stats = await stat(resolve(context.cwd, first)).catch(() => null);
  const isFolder = stats?.isDirectory() === true;
  if (isFolder && others.length > 0) throw usage('upload to a Hub expected one folder, or files');
  checkDestination(args, UPLOADS, isFolder ? 'folders to hf://' : 'files to hf://');
  checkHubArgs(args);
  const dryRun = args.flag('dry-run');
  const clientOptions = {
    placement: args.text('placement') as PlacementName | undefined,
    grants: args.text('grants') as ClientOptions['grants'],
  };
  return withHub(args, context, { name: 'upload', clientOptions }, async (hub, opened) => {
    const { reporter } = opened;
    const { repo, revision, path } = address;
    const { signal } = context;
    const at = { repo, ...(revision === null ? {} : { revision }), signal };
    if (args.flag('create') && !dryRun) {
      const isPrivate = args.flag('private') ? true : undefined;
      await hub.createRepo({ repo, isPrivate, existOk: true, signal });
    }
    const common: HubUploadOptions = {
      ...at,
      title: args.text('message'),
      createPr: args.flag('pr'),
      dryRun,
      base: basesOf(args, context),
      rehash: args.flag('rehash'),
      maxXorbBytes: maxXorbBytesOf(opened.args),
      onProgress: (progress) => reporter.update(progress),
      onFile: (file) => reporter.event('file', file),
    };
    const uploading = isFolder
      ? hub.uploadFolder({
          ...common,
          path,
          folder: resolve(context.cwd, first),
          include: args.texts('include'),
          exclude: args.texts('exclude'),
          deleteRemoved: args.flag('delete-removed'),
          files: list === undefined ? undefined : await filesIn(list, context),
          hidden: !args.flag('no-hidden'),
          symlinks: args.text('symlinks') as HubFolderUploadOptions['symlinks'],
          names: args.text('names') as HubFolderUploadOptions['names'],
        })
      : hub.uploadFiles(filesOf(paths, address, context), common);
    const result = await uploading.catch((error: unknown) => {
      throw isOrbweaverError(error) ? missingRepo(error) : error;
    });
    reporter.clear();
    for (const text of skippedTexts(result.skipped)) reporter.warn(text);
    for (const { base, problem } of result.bases ?? []) {
      if (problem !== null) reporter.warn(`base "${base}": ${problem}`);
    }
    const json = args.flag('json');
    if (json) writeJson(context.stdout, uploadJson(result, { repo, dryRun }));
    else printUpload(result, context, { place: text, dryRun, quiet: args.flag('quiet') });
    const doneCount = result.files.length;
    return reportFailed(context.stderr, result.failed, { json, doneCount });
  });
}

/** Refuses what says nothing without, or against, something else. @throws USAGE */
function checkHubArgs(args: ParsedArgs): void {
  if (args.flag('private') && !args.flag('create')) throw usage('--private is for --create');
  if (args.text('symlinks') === 'keep') {
    throw usage('a repository has no links: --symlinks expected follow or skip');
  }
  if (args.flag('delete-removed') && args.text('files-from') !== undefined) {
    throw usage('--delete-removed is for a whole folder, without --files-from');
  }
}

/** More of the same reason are one line: `.gitignore` may name thousands. */
const SKIPPED_LINES = 3;

function skippedTexts(skipped: HubUploadResult['skipped']): string[] {
  const byReason = new Map<string, string[]>();
  for (const { path, reason } of skipped) {
    const paths = byReason.get(reason) ?? [];
    paths.push(path);
    byReason.set(reason, paths);
  }
  return [...byReason].flatMap(([reason, paths]) => {
    if (paths.length > SKIPPED_LINES) return `left out ${paths.length} files: ${reason}`;
    return paths.map((path) => `left out "${path}": ${reason}`);
  });
}

/** The contract of docs/cli.md. */
function uploadJson(
  result: HubUploadResult,
  { repo, dryRun }: { readonly repo: HubAddress['repo']; readonly dryRun: boolean },
): object {
  const { commits, files, deletedPaths, sentBytes, storeGivenUp, wallMs, ...rest } = result;
  const { bases, skipped, failed } = rest;
  return {
    type: 'result',
    repo: repo.name,
    repoType: repo.type,
    ...(dryRun ? { dryRun } : {}),
    ...{ commits, files, deletedPaths, sentBytes },
    ...(storeGivenUp === undefined ? {} : { storeGivenUp }),
    ...(bases === undefined ? {} : { bases }),
    wallMs: Math.round(wallMs),
    ...(skipped.length === 0 ? {} : { skipped }),
    ...failedJson(failed),
  };
}

/** Where the change is; of a dry run what it would be, a line each. */
function printUpload(
  { commits, files, deletedPaths, sentBytes, wallMs }: HubUploadResult,
  { stdout, stderr }: CliContext,
  how: { readonly place: string; readonly dryRun: boolean; readonly quiet: boolean },
): void {
  if (how.dryRun) {
    for (const file of files) stdout.write(`${file.how}  ${nameText(stdout, file.path)}\n`);
    for (const path of deletedPaths) stdout.write(`deleted  ${nameText(stdout, path)}\n`);
  } else if (files.length > 0 || deletedPaths.length > 0) {
    const last = commits.at(-1);
    const place = last?.pullRequestUrl ?? last?.url ?? how.place;
    stdout.write(`${last === undefined ? 'unchanged' : place}\n`);
  }
  if (how.quiet) return;
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const unchanged = files.filter((file) => file.how === 'unchanged').length;
  stderr.write(
    `${pluralText(files.length, 'file')}, ${bytesText(sizeBytes)}, ${unchanged} unchanged, ` +
      `${how.dryRun ? 'would send' : 'sent'} ${bytesText(sentBytes)}, ${rateText(sizeBytes, wallMs)}\n`,
  );
}

/** What is missing is nearly always the repository. */
function missingRepo(error: OrbweaverError): OrbweaverError {
  const { code, message, fields } = error;
  if (code !== 'NOT_FOUND' || fields['hubCode'] === 'RevisionNotFound') return error;
  return new OrbweaverError('NOT_FOUND', `${message}; --create makes the repository`, fields);
}

/** A file goes to the address, or below it when that ends in a slash or several go there. */
function filesOf(paths: readonly string[], { path }: HubAddress, context: CliContext): HubFile[] {
  if (paths.includes('-')) throw usage('a Hub expected files: standard input has no size');
  return paths.map((name) => ({
    path: path === '' ? basename(name) : paths.length > 1 ? `${path}/${basename(name)}` : path,
    content: resolve(context.cwd, name),
  }));
}

/** `download hf://…`. */
export function downloadFromHub(args: ParsedArgs, context: CliContext): Promise<number> {
  const [first = '', ...others] = args.positionals;
  if (others.length > 0) throw usage('download from a Hub expected one hf:// address');
  const { repo, revision, path } = parseHubAddress(first);
  const cache = args.flag('hf-cache');
  const output = args.text('output');
  if (cache === (output !== undefined)) {
    throw usage('say where: download hf://… -o DIR, or --hf-cache');
  }
  if (output === '-') throw usage('a path of a Hub goes into a folder, -o DIR, not to -');
  checkDestination(args, DOWNLOADS, 'hf://');
  return withHub(args, context, { name: 'download' }, async (hub, { reporter }) => {
    const result = await hub.downloadFolder({
      repo,
      path,
      cache,
      to: cache ? defaultHubCache(context.env) : resolve(context.cwd, output ?? '.'),
      include: args.texts('include'),
      exclude: args.texts('exclude'),
      names: args.text('names') as HubFolderDownloadOptions['names'],
      resume: !args.flag('no-resume'),
      ...(revision === null ? {} : { revision }),
      signal: context.signal,
      onProgress: (progress) => reporter.update(progress),
      onFile: (file) => reporter.event('file', file),
    });
    reporter.clear();
    const { files, failed, folder, sizeBytes, fetchedBytes, requestCount } = result;
    const wallMs = Math.round(result.wallMs);
    if (args.flag('json')) {
      writeJson(context.stdout, {
        type: 'result',
        path: folder,
        fileCount: files.length,
        sizeBytes,
        fetchedBytes,
        requestCount,
        verified: files.every((file) => file.verified || file.transport === 'none'),
        wallMs,
        ...failedJson(failed),
      });
    } else {
      if (files.length > 0) context.stdout.write(`${nameText(context.stdout, folder)}\n`);
      if (!args.flag('quiet')) {
        context.stderr.write(
          `${pluralText(files.length, 'file')}, ${bytesText(sizeBytes)}, fetched ${bytesText(fetchedBytes)} ` +
            `in ${pluralText(requestCount, 'request')}, ${rateText(sizeBytes, result.wallMs)}\n`,
        );
      }
    }
    return reportFailed(context.stderr, failed, {
      json: args.flag('json'),
      doneCount: files.length,
    });
  });
}

/** `ls hf://…`. */
export function listHub(args: ParsedArgs, context: CliContext): Promise<number> {
  const { repo, revision, path } = parseHubAddress(args.positionals[0] ?? '');
  const json = args.flag('json');
  return withHub(args, context, { name: 'ls' }, async (hub) => {
    const lines = async function* (): AsyncGenerator<string> {
      const listing = { repo, path, recursive: true, signal: context.signal };
      for await (const entry of hub.listFiles({
        ...listing,
        ...(revision === null ? {} : { revision }),
      })) {
        if (json) yield JSON.stringify(entryJson(entry));
        else if (entry.type === 'file') {
          yield `${String(entry.size).padStart(14)}  ${nameText(context.stdout, entry.path)}`;
        }
      }
    };
    await writeLines(context.stdout, lines());
    return EXIT.ok;
  });
}

/** The contract of docs/cli.md. */
function entryJson(entry: HubEntry): object {
  return {
    path: entry.path,
    type: entry.type === 'directory' ? 'folder' : 'file',
    sizeBytes: entry.size,
    fileHash: entry.xetHash ?? null,
    oid: entry.lfs?.oid ?? entry.oid,
  };
}

/** `rm hf://…`. */
export function removeFromHub(args: ParsedArgs, context: CliContext): Promise<number> {
  const places = args.positionals.map((text) => ({ ...parseHubAddress(text), text }));
  const [first] = places;
  if (first === undefined) throw usage('rm expected at least one hf://… address');
  for (const { repo, revision, path, text } of places) {
    const isSame = repo.name === first.repo.name && repo.type === first.repo.type;
    if (!isSame || revision !== first.revision) throw usage('rm expected paths of one repository');
    if (path === '') throw usage(`"${text}" expected a path in the repository`);
  }
  return withHub(args, context, { name: 'rm' }, async (hub) => {
    const { repo, revision } = first;
    const paths = places.map(({ path, text }) => (text.endsWith('/') ? `${path}/` : path));
    const made = await hub.deleteFiles(paths, {
      repo,
      ...(revision === null ? {} : { revision }),
      title: args.text('message'),
      createPr: args.flag('pr'),
      signal: context.signal,
    });
    if (args.flag('json')) writeJson(context.stdout, { type: 'result', ...made, paths });
    else context.stdout.write(`${made.pullRequestUrl ?? made.url ?? 'done'}\n`);
    return EXIT.ok;
  });
}

interface HubCommand {
  readonly name: 'upload' | 'download' | 'ls' | 'rm';
  readonly clientOptions?: Pick<HubOptions, 'placement' | 'grants'>;
}

interface OpenedHub {
  readonly reporter: Reporter;
  /** The command line, with environment and config file behind it. */
  readonly args: ParsedArgs;
}

/** A hub for a command, by the credentials that the ecosystem keeps, closed at its end. */
async function withHub(
  args: ParsedArgs,
  context: CliContext,
  { name: command, clientOptions = {} }: HubCommand,
  run: (hub: Hub, opened: OpenedHub) => Promise<number>,
): Promise<number> {
  const { env } = context;
  // A store of the plain protocol that the environment names is no Hub.
  const hubless = { ...context, env: { ...env, ORBWEAVER_ENDPOINT: '', ORBWEAVER_TOKEN: '' } };
  const settings = await settingsOf(args, hubless);
  const given = settings.connection.token;
  if (typeof given === 'object' && 'refreshUrl' in given) {
    throw usage('hf:// expected --token or --token-file, got --token-url: the Hub has its own');
  }
  const token = given ?? (await hubTokenOf(env));
  const secrets = secretsOf(
    ['--token', settings.tokenText ?? (typeof token === 'string' ? token : '')],
    env,
  );
  const { label, wireLabel } = PROGRESS[command] ?? { label: command, wireLabel: 'moved' };
  const reporter = createReporter(args, context, { command, label, wireLabel, secrets });
  const { token: _, ...network } = settings.connection;
  const opening = async (): Promise<Hub> =>
    createHub({
      hubUrl: settings.endpoint ?? (env['HF_ENDPOINT'] || undefined),
      accessToken: token,
      transport: args.text('transport') as HubTransport | undefined,
      ...network,
      ...cacheOptionsOf(args, context),
      ...(command === 'upload' || command === 'download'
        ? {
            stateFolder: stateFolderOf(args, context),
            onStateProblem: (error) => reporter.warn(stateWarning(error)),
          }
        : {}),
      ...computeOptionsOf(settings.args),
      ...clientOptions,
      onRetry: (event) => reporter.retry(event),
      onWarning: (message) => reporter.warn(message),
    });
  const hub = await asUsage(opening());
  try {
    return await run(hub, { reporter, args: settings.args });
  } catch (error) {
    throw withHubHint(error);
  } finally {
    reporter.clear();
    await hub.close();
  }
}

/** As the Python client: $HF_TOKEN, else the file that `hf auth login` writes. */
export async function hubTokenOf(env: CliContext['env']): Promise<string | undefined> {
  const given = env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'];
  if (given) return given.trim();
  const path = env['HF_TOKEN_PATH'] || join(hubHome(env), 'token');
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    if (isOrbweaverError(error)) throw error;
    throw usage(`the token file "${path}" cannot be read: ${code ?? 'unknown'}`);
  }
}
