import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { EXIT, OrbweaverError } from '../errors.js';
import type { ClientOptions, OrbweaverClient, TokenSource } from '../index.js';
import { CACHE, cacheOptionsOf } from './cache.js';
import { COMPUTE, defineCommand, LIMITS, NETWORK, type ParsedArgs } from './command.js';
import { computeOptionsOf, openClient } from './compute.js';
import type { CliContext, Command } from './context.js';
import { type LfsSeeds, lfsFolder, lfsSeeds } from './lfs-seeds.js';
import { lfsToken } from './lfs-token.js';
import { failureOf, writeJson } from './output.js';
import { masked } from './secrets.js';
import { settingsOf } from './settings.js';

/**
 * A custom transfer agent of Git LFS: git-lfs writes one JSON object a line, and waits for the answers
 * (custom transfers, in the documentation of git-lfs). One file at a time, each complete when its shard is registered.
 */

export const lfsAgentCommand: Command = defineCommand({
  usage: ['lfs-agent [OPTIONS]'],
  about: `Moves files of Git LFS by content: what the server has of a new version is not sent. git-lfs starts it:

  for name in xet orbweaver; do
    git config lfs.customtransfer.$name.path orbweaver
    git config lfs.customtransfer.$name.args lfs-agent
    git config lfs.customtransfer.$name.concurrent false
  done

Servers that offer neither transfer are talked to as before.`,
  options: [...CACHE, ...NETWORK, ...LIMITS, ...COMPUTE],
  run: agent,
});

/** What git-lfs says. */
interface Asked {
  readonly event: string;
  readonly operation?: string;
  readonly oid?: string;
  readonly size?: number;
  readonly path?: string;
  readonly action?: {
    readonly href?: string;
    readonly header?: Readonly<Record<string, string>>;
  } | null;
}

/** A line longer than this is none of git-lfs. */
const MAX_LINE_CHARS = 1024 * 1024;

async function agent(args: ParsedArgs, context: CliContext): Promise<number> {
  const { connection, args: all } = await settingsOf(args, {
    ...context,
    env: { ...context.env, ORBWEAVER_TOKEN: '', ORBWEAVER_TOKEN_FILE: '' },
  });
  const { token: _, ...network } = connection;
  const clients = keptClient(
    { ...network, ...cacheOptionsOf(args, context), ...computeOptionsOf(all) },
    context,
  );
  const folder = await mkdtemp(join(await temporaryFolder(context), 'orbweaver-lfs-'));
  const parts = { clients, seeds: lfsSeeds(context), context };
  let moved = 0;
  try {
    for await (const line of createInterface({ input: context.stdin, crlfDelay: Infinity })) {
      context.signal.throwIfAborted();
      if (line.trim() === '') continue;
      const asked = parse(line);
      if (asked.event === 'terminate') break;
      if (asked.event === 'init') writeJson(context.stdout, {});
      else if (asked.event === 'upload' || asked.event === 'download') {
        moved++;
        writeJson(context.stdout, await moveOne(asked, join(folder, `${moved}`), parts));
      } else throw protocol(`an event of git-lfs, got "${asked.event}"`);
    }
    return EXIT.ok;
  } finally {
    await clients.close();
    // What was downloaded was moved by git-lfs before it said that it was done.
    await rm(folder, { recursive: true, force: true });
  }
}

interface AgentParts {
  readonly clients: ReturnType<typeof keptClient>;
  readonly seeds: LfsSeeds;
  readonly context: CliContext;
}

/** Moves one file. A failure is its own: git-lfs goes on with the others. */
async function moveOne(
  asked: Asked,
  to: string,
  { clients, seeds, context }: AgentParts,
): Promise<object> {
  const { oid = '', size = 0 } = asked;
  const { signal } = context;
  let told = 0;
  const progress = (bytes: number): void => {
    const bytesSoFar = Math.min(bytes, size);
    if (bytesSoFar <= told) return;
    const bytesSinceLast = bytesSoFar - told;
    writeJson(context.stdout, { event: 'progress', oid, bytesSoFar, bytesSinceLast });
    told = bytesSoFar;
  };
  try {
    if (!/^[0-9a-f]{64}$/.test(oid)) throw protocol('"oid" of 64 hexadecimal digits');
    const { client, fileHash } = await clients.of(asked);
    if (asked.event === 'upload') {
      const data = resolve(context.cwd, asked.path ?? '');
      const { failed } = await client.upload([{ data, sha256: oid }], {
        signal,
        onProgress: ({ doneBytes }) => progress(doneBytes),
      });
      const [problem] = failed;
      if (problem !== undefined) throw new OrbweaverError(problem.code, problem.message);
      progress(size);
      return { event: 'complete', oid };
    }
    if (fileHash === undefined) throw protocol('"X-Xet-Hash" among the headers of a download');
    const { sizeBytes } = await client.download(fileHash, {
      to,
      seeds: await seeds.for(size),
      signal,
      onProgress: ({ writtenBytes }) => progress(writtenBytes),
    });
    if (sizeBytes !== size) {
      throw new OrbweaverError('SIZE_MISMATCH', `${oid} expected ${size} bytes, got ${sizeBytes}`);
    }
    return { event: 'complete', oid, path: to };
  } catch (error) {
    if (signal.aborted) throw error;
    const { message, hint, exitCode } = failureOf(error, 'lfs-agent');
    return {
      event: 'complete',
      oid,
      error: { code: exitCode, message: masked(`${message} ${hint}`) },
    };
  }
}

/** The client of the store that the last action named: nearly always the same for all files. */
function keptClient(options: ClientOptions, context: CliContext) {
  let kept: { readonly key: string; readonly client: OrbweaverClient } | null = null;
  let token: TokenSource = { get: async () => '' };
  return {
    async of({
      action,
    }: Asked): Promise<{ client: OrbweaverClient; fileHash: string | undefined }> {
      const header: Readonly<Record<string, string>> = Object.fromEntries(
        Object.entries(action?.header ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
      );
      const endpoint = header['x-xet-cas-url'];
      const accessToken = header['x-xet-access-token'];
      if (endpoint === undefined || accessToken === undefined) {
        throw protocol('"X-Xet-Cas-Url" and "X-Xet-Access-Token" among the headers of an action');
      }
      // Every action brings a token of its own; the last one is good for what is moved now.
      token = lfsToken({ href: action?.href, header, endpoint, accessToken }, options, context);
      if (kept?.key !== endpoint) {
        await kept?.client.close();
        kept = null;
        const sessionId = header['x-xet-session-id'];
        kept = {
          key: endpoint,
          client: await openClient({
            ...options,
            endpoint,
            token: {
              get: () => token.get(),
              refresh: async () => (token.refresh ?? token.get)(),
            },
            ...(sessionId && { sessionId }),
          }),
        };
      }
      return { client: kept.client, fileHash: header['x-xet-hash'] };
    },
    async close(): Promise<void> {
      await kept?.client.close();
    },
  };
}

function parse(line: string): Asked {
  if (line.length > MAX_LINE_CHARS) throw protocol('a line of at most 1 MiB');
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'event' in value) return value as Asked;
  } catch {}
  throw protocol('an object with an "event" on each line');
}

function protocol(expected: string): OrbweaverError {
  return new OrbweaverError('PROTOCOL', `git-lfs expected to give ${expected}`);
}

/** On the same disk as the repository, because git-lfs moves what was downloaded. */
async function temporaryFolder(context: CliContext): Promise<string> {
  const folder = join(await lfsFolder(context), 'tmp');
  const stats = await stat(folder).catch(() => null);
  return stats?.isDirectory() === true ? folder : tmpdir();
}
