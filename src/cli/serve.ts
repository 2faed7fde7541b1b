import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { EXIT } from '../errors.js';
import {
  createGatewayLog,
  createPrometheusMetrics,
  DEFAULT_PORT,
  type GatewayToken,
  LOG_LEVELS,
  type LogLevel,
  type Quota,
  type Quotas,
  type RateLimitOptions,
  startGateway,
  type TokenScope,
  type UpstreamOptions,
} from '../gateway.js';
import { defineCommand, type ParsedArgs, parseBytes, usage } from './command.js';
import { asUsage } from './compute.js';
import type { CliContext, Command } from './context.js';
import { type LogFile, openLogFile } from './log-file.js';
import { writeJson } from './output.js';
import { placeOf, S3_OPTIONS, s3Of } from './place.js';
import { tokenUrlOf } from './settings.js';

export const serveCommand: Command = defineCommand({
  usage: ['serve --data PLACE [OPTIONS]'],
  about: `Serves the content-addressed store protocol over a folder or a bucket. Prints the URL and a token of each
scope, then serves until SIGINT or SIGTERM, which let requests in flight finish.`,
  options: [
    {
      name: 'data',
      value: 'PLACE',
      help: 'where xorbs, shards and files are kept: a folder, made if missing, or s3://BUCKET/PREFIX',
    },
    { name: 'host', value: 'H', help: 'address to listen on', fallback: '127.0.0.1' },
    {
      name: 'port',
      value: 'N',
      help: 'port to listen on, 0 for a free one',
      fallback: String(DEFAULT_PORT),
    },
    { name: 'token', value: 'T', help: 'one token for both scopes; others can see it in ps' },
    {
      name: 'token-file',
      value: 'FILE',
      help: 'one token, or lines of a scope and a token, such as "read T", then perhaps a tenant and a name',
      fallback: 'see below',
    },
    {
      name: 'no-fsync',
      help: 'wait for no disk: what was acknowledged may be lost in a power cut',
    },
    {
      name: 'workers',
      value: 'N',
      help: 'threads that verify uploads',
      fallback: 'one per core',
    },
    {
      name: 'max-memory',
      value: 'BYTES',
      help: 'for bodies, responses, caches and verifying, at least 32MiB',
      fallback: "256MiB, and the threads' own",
    },
    { name: 'prefix', value: 'PATH', help: 'path below which it is served', fallback: 'none' },
    {
      name: 'public-url',
      value: 'URL',
      help: 'base of the fetch URLs it signs',
      fallback: 'the Host of the request',
    },
    ...S3_OPTIONS,
    {
      name: 's3-public-url',
      value: 'URL',
      help: 'of s3://: the service as clients reach it, for uploads and downloads past this gateway',
      fallback: 'the endpoint',
    },
    {
      name: 'downloads',
      value: 'W',
      help: 'of s3://: direct, from the bucket, or through this gateway',
      fallback: 'direct with --s3-public-url',
      choices: ['direct', 'gateway'],
    },
    {
      name: 'tls-cert',
      value: 'FILE',
      help: 'serve HTTPS with this certificate (PEM); read again when it changes',
      fallback: 'plain HTTP',
    },
    { name: 'tls-key', value: 'FILE', help: 'its key (PEM)' },
    {
      name: 'trusted-proxy',
      value: 'CIDR',
      help: 'a proxy in front whose X-Forwarded headers are believed; may be given several times',
      fallback: 'none',
      isRepeatable: true,
    },
    {
      name: 'quota',
      value: 'TENANT=BYTES',
      help: 'most bytes a tenant may store; * is each that is not named, nothing who has none',
      fallback: 'none',
      isRepeatable: true,
    },
    {
      name: 'quota-logical',
      value: 'TENANT=BYTES',
      help: 'most bytes that its files may have together',
      fallback: 'none',
      isRepeatable: true,
    },
    {
      name: 'rate-limit',
      value: 'N',
      help: 'most requests per second of one principal',
      fallback: 'none',
    },
    {
      name: 'rate-limit-bytes',
      value: 'BYTES',
      help: 'most bytes per second of one principal, such as 50MiB',
      fallback: 'none',
    },
    {
      name: 'dedup-one-in',
      value: 'N',
      help: 'list one chunk in N (a power of two up to 1024) for dedup queries',
      fallback: '64',
    },
    {
      name: 'cors',
      value: 'ORIGIN',
      help: 'let web pages of this origin in, or * for all; may be given several times',
      fallback: 'none',
      isRepeatable: true,
    },
    { name: 'metrics', help: 'serve GET /metrics to admin tokens, on the same port' },
    {
      name: 'metrics-listen',
      value: 'HOST:PORT',
      help: 'serve GET /metrics there, to whoever can reach it',
      fallback: 'nowhere',
    },
    {
      name: 'drain',
      value: 'SECONDS',
      help: 'how long a stop waits for requests in flight',
      fallback: '30',
    },
    {
      name: 'drain-delay',
      value: 'SECONDS',
      help: 'how long a stop goes on serving while /ready says 503',
      fallback: '0',
    },
    {
      name: 'upstream',
      value: 'URL',
      help: 'a store from which files come that are asked for and not here',
      fallback: 'none',
    },
    {
      name: 'upstream-token-file',
      value: 'FILE',
      help: 'the token for it; read again when it is refused',
      fallback: '$ORBWEAVER_UPSTREAM_TOKEN',
    },
    {
      name: 'upstream-token-url',
      value: 'URL',
      help: 'a URL that gives tokens for it, as a Hub does; the token is sent to it instead',
      fallback: 'none',
    },
    { name: 'no-grants', help: 'offer no upload grants: clients post xorbs' },
    { name: 'no-hub', help: 'serve no repositories to clients of the Hub and of Git LFS' },
    { name: 'ui', help: "serve the operator's page at /ui/, to whoever has a token" },
    {
      name: 'log-level',
      value: 'L',
      help: `how much is logged: ${LOG_LEVELS.join(', ')}`,
      fallback: 'info; with --quiet warn',
      choices: LOG_LEVELS,
    },
    {
      name: 'log-format',
      value: 'F',
      help: 'text or json',
      fallback: 'text',
      choices: ['text', 'json'],
    },
    { name: 'log-file', value: 'FILE', help: 'where to, appended', fallback: 'standard error' },
    {
      name: 'log-file-size',
      value: 'BYTES',
      help: 'what would make it larger begins it anew, and the old one becomes FILE.1',
      fallback: '64MiB',
    },
  ],
  notes: `Tokens come from --token or --token-file, else from $ORBWEAVER_READ_TOKEN and
$ORBWEAVER_WRITE_TOKEN, else from $ORBWEAVER_TOKEN for both scopes. Without any they are made at the
first start and kept in PLACE (secrets.json of a folder), as is the secret that signs URLs unless
$ORBWEAVER_SECRET_FILE names a file with one: 32 bytes, or 64 hexadecimal digits. Tokens that
"orbweaver token" made for the store are accepted besides.

The first signal stops it: /ready says 503 for --drain-delay, then nothing new is taken and requests
in flight get --drain to finish. It exits with 0 then, also when some had to be cut (the log says so).
A second signal ends it at once, as that signal does by itself (130, 143).

With --json the first line on standard output is {"url","readToken","writeToken"}, "uiUrl" with --ui, and
"metricsUrl" with --metrics-listen.`,
  run: serve,
});

async function serve(args: ParsedArgs, context: CliContext): Promise<number> {
  const data = args.text('data');
  if (data === undefined) throw usage('serve expected --data PLACE');
  if (args.positionals.length > 0) throw usage(`serve takes no "${args.positionals[0]}"`);
  const port = args.count('port') ?? DEFAULT_PORT;
  if (port > 65_535) throw usage(`--port expected 0 to 65535, got ${port}`);
  const origins = args.texts('cors');
  const downloads = args.text('downloads');
  const tokens = await tokensOf(args, context);
  const secret = await secretOf(context);
  const logFile = await logFileOf(args, context);
  const log = createGatewayLog({
    write: (lines) => (logFile ?? context.stderr).write(lines),
    format: args.text('log-format') === 'json' ? 'json' : 'text',
    level:
      (args.text('log-level') as LogLevel | undefined) ?? (args.flag('quiet') ? 'warn' : 'info'),
  });
  const metricsListen = addressOf(args.text('metrics-listen'));
  const wantsMetrics = args.flag('metrics') || metricsListen !== undefined;
  const gateway = await asUsage(
    startGateway({
      data: placeOf(data, context),
      s3: s3Of(args, args.text('s3-public-url')),
      sync: !args.flag('no-fsync'),
      host: args.text('host'),
      port,
      tokens,
      secret,
      workers: args.count('workers'),
      maxMemory: args.bytes('max-memory'),
      quotas: quotasOf(args),
      rateLimit: rateLimitOf(args),
      tls: tlsOf(args, context),
      trustedProxies: args.texts('trusted-proxy'),
      prefix: args.text('prefix'),
      publicUrl: args.text('public-url'),
      dedupOneIn: args.count('dedup-one-in'),
      cors: origins.length === 0 ? undefined : { origins: origins.includes('*') ? '*' : origins },
      grants: !args.flag('no-grants'),
      directDownloads: downloads === undefined ? undefined : downloads === 'direct',
      hub: !args.flag('no-hub'),
      ui: args.flag('ui'),
      onAccess: log.onAccess,
      onFault: log.onFault,
      onWarning: log.onWarning,
      metrics: wantsMetrics ? await createPrometheusMetrics() : undefined,
      metricsListen,
      upstream: await upstreamOf(args, context),
      drainMs: secondsOf(args, 'drain'),
      drainDelayMs: secondsOf(args, 'drain-delay'),
    }),
  );
  const { url, readToken, writeToken, uiUrl, metricsUrl } = gateway;
  if (args.flag('json')) {
    const more = {
      ...(uiUrl === null ? {} : { uiUrl }),
      ...(metricsUrl === null ? {} : { metricsUrl }),
    };
    writeJson(context.stdout, { url, readToken, writeToken, ...more });
  } else {
    context.stdout.write(
      `url         ${url}\nread token  ${readToken}\nwrite token ${writeToken}\n` +
        (uiUrl === null ? '' : `page        ${uiUrl}\n`),
    );
  }
  log.info(`serving ${url} until interrupted`);
  if (metricsUrl !== null) log.info(`metrics ${metricsUrl}`);
  log.flush();
  await aborted(context.signal);
  await gateway.close();
  log.flush();
  await logFile?.close();
  return EXIT.ok;
}

const LOG_FILE_BYTES = 64 * 1024 * 1024;

/** Null: the log goes to standard error. */
async function logFileOf(args: ParsedArgs, { cwd, stderr }: CliContext): Promise<LogFile | null> {
  const file = args.text('log-file');
  const limitBytes = args.bytes('log-file-size');
  if (file === undefined) {
    if (limitBytes !== undefined) throw usage('--log-file-size needs --log-file');
    return null;
  }
  return openLogFile(resolve(cwd, file), {
    limitBytes: limitBytes ?? LOG_FILE_BYTES,
    onProblem: (message) => stderr.write(`${message}\n`),
  });
}

async function upstreamOf(
  args: ParsedArgs,
  { cwd, env }: CliContext,
): Promise<UpstreamOptions | undefined> {
  const endpoint = args.text('upstream');
  const file = args.text('upstream-token-file');
  const url = args.text('upstream-token-url');
  if (endpoint === undefined) {
    if (file === undefined && url === undefined) return undefined;
    throw usage(`--upstream-token-${file === undefined ? 'url' : 'file'} needs --upstream`);
  }
  const kept = env['ORBWEAVER_UPSTREAM_TOKEN'] || undefined;
  if (file === undefined) {
    return {
      endpoint,
      token: url === undefined ? kept : tokenUrlOf(url, kept, '--upstream-token-url'),
    };
  }
  const read = async (): Promise<string> =>
    (await readFileOf(resolve(cwd, file), '--upstream-token-file')).toString('utf8').trim();
  let token = await read();
  if (url !== undefined) {
    return { endpoint, token: tokenUrlOf(url, token, '--upstream-token-url') };
  }
  return {
    endpoint,
    token: {
      get: async () => token,
      async refresh() {
        token = await read();
        return token;
      },
    },
  };
}

/** Milliseconds of an option in seconds. */
function secondsOf(args: ParsedArgs, name: string): number | undefined {
  const seconds = args.count(name);
  return seconds === undefined ? undefined : seconds * 1000;
}

/** `HOST:PORT`, an IPv6 address in brackets. */
function addressOf(text: string | undefined): { host: string; port: number } | undefined {
  if (text === undefined) return undefined;
  const [, v6, name, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  const host = v6 ?? name;
  if (host === undefined || port > 65_535) {
    throw usage(`--metrics-listen expected HOST:PORT, got "${text}"`);
  }
  return { host, port };
}

/** `TENANT=BYTES` of both kinds. @throws USAGE */
function quotasOf(args: ParsedArgs): Quotas | undefined {
  const quotas: Record<string, Quota> = {};
  const kinds = [
    ['quota', 'storedBytes'],
    ['quota-logical', 'logicalBytes'],
  ] as const;
  for (const [option, kind] of kinds) {
    for (const text of args.texts(option)) {
      const [, tenant, size] = /^([^=]*)=(.+)$/.exec(text) ?? [];
      if (tenant === undefined) throw usage(`--${option} expected TENANT=BYTES, got "${text}"`);
      quotas[tenant] = { ...quotas[tenant], [kind]: parseBytes(option, size as string) };
    }
  }
  return Object.keys(quotas).length === 0 ? undefined : quotas;
}

function rateLimitOf(args: ParsedArgs): RateLimitOptions | undefined {
  const requestsPerSecond = args.count('rate-limit');
  const bytesPerSecond = args.bytes('rate-limit-bytes');
  if (requestsPerSecond === 0 || bytesPerSecond === 0) {
    throw usage('--rate-limit and --rate-limit-bytes expected more than 0');
  }
  if (requestsPerSecond === undefined && bytesPerSecond === undefined) return undefined;
  return { requestsPerSecond, bytesPerSecond };
}

function tlsOf(
  args: ParsedArgs,
  { cwd }: CliContext,
): { readonly cert: string; readonly key: string } | undefined {
  const cert = args.text('tls-cert');
  const key = args.text('tls-key');
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw usage('serve expected both --tls-cert and --tls-key, or none');
  }
  return { cert: resolve(cwd, cert), key: resolve(cwd, key) };
}

/** `read TOKEN north anna`: scope, token, and if wanted whose data it opens and who logs say it is. */
const TOKEN_LINE = /^(read|append|write|admin)\s+(\S+)(?:\s+(\S+)(?:\s+(\S+))?)?$/;
const NO_TENANT = '-';

/** The tokens that were given in one of the ways; undefined: those that the store keeps. */
async function tokensOf(
  args: ParsedArgs,
  { cwd, env }: CliContext,
): Promise<readonly GatewayToken[] | undefined> {
  const token = args.text('token');
  const file = args.text('token-file');
  if (token !== undefined && file !== undefined) {
    throw usage('serve takes --token or --token-file, not both');
  }
  if (token !== undefined) return [checked('write', token, '--token')];
  if (file !== undefined) {
    const text = (await readFileOf(resolve(cwd, file), '--token-file')).toString('utf8').trim();
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    return lines.map((line) => {
      const [, scope, named, tenant, id] = TOKEN_LINE.exec(line) ?? [];
      if (scope === undefined && lines.length > 1) {
        throw usage(
          '--token-file expected one token, or lines of a scope and a token, then perhaps a tenant and a name',
        );
      }
      return {
        ...checked((scope ?? 'write') as TokenScope, named ?? line, '--token-file'),
        ...(tenant === undefined || tenant === NO_TENANT ? {} : { tenant }),
        ...(id === undefined ? {} : { id }),
      };
    });
  }
  const { ORBWEAVER_READ_TOKEN: read, ORBWEAVER_WRITE_TOKEN: write, ORBWEAVER_TOKEN: both } = env;
  if (read || write) {
    return [
      ...(write ? [checked('write', write, '$ORBWEAVER_WRITE_TOKEN')] : []),
      ...(read ? [checked('read', read, '$ORBWEAVER_READ_TOKEN')] : []),
    ];
  }
  return both ? [checked('write', both, '$ORBWEAVER_TOKEN')] : undefined;
}

function checked(scope: GatewayToken['scope'], token: string, from: string): GatewayToken {
  if (!/^[\x21-\x7e]{1,4096}$/.test(token))
    throw usage(`${from} expected visible ASCII characters`);
  return { token, scope, id: `${scope} token` };
}

async function secretOf({ cwd, env }: CliContext): Promise<Uint8Array | undefined> {
  const file = env['ORBWEAVER_SECRET_FILE'];
  if (!file) return undefined;
  const bytes = await readFileOf(resolve(cwd, file), '$ORBWEAVER_SECRET_FILE');
  if (bytes.length === 32) return new Uint8Array(bytes);
  const text = bytes.toString('latin1').trim();
  if (/^[0-9a-f]{64}$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  throw usage(
    `$ORBWEAVER_SECRET_FILE expected a file of 32 bytes or 64 hexadecimal digits, got ${bytes.length} bytes`,
  );
}

async function readFileOf(path: string, from: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw usage(`${from} expected a file that can be read: "${path}" (${code})`);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener('abort', () => resolve(), { once: true }),
  );
}
