import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ClientOptions, TokenSource, TokenUrl } from '../index.js';
import { type ParsedArgs, usage, withMore } from './command.js';
import { limitOptionsOf } from './compute.js';
import type { CliContext } from './context.js';
import { nearest } from './messages.js';

/**
 * Settings of commands that talk to a server, each taken from the first place that has it:
 *
 *     option        --limit-upload 2MiB
 *     environment   ORBWEAVER_LIMIT_UPLOAD=2MiB
 *     config file   { "limit-upload": "2MiB" }
 *     default
 *
 * The config file is JSON: $ORBWEAVER_CONFIG, else orbweaver/config.json in $XDG_CONFIG_HOME or
 * ~/.config.
 */
export interface Settings {
  /** The command line, with the other places behind it. */
  readonly args: ParsedArgs;
  /** Null: none was given. */
  readonly endpoint: string | null;
  readonly connection: NetworkSettings & {
    readonly token?: string | TokenSource | TokenUrl | undefined;
  };
  /** The token as it is now, to be masked. */
  readonly tokenText: string | undefined;
}

/** How a server is reached. */
export type NetworkSettings = Pick<
  ClientOptions,
  'proxy' | 'noProxy' | 'ca' | 'limitUpload' | 'limitDownload' | 'concurrency'
>;

/** What may stand in the environment and the config file. */
const NAMES = [
  'endpoint',
  'token',
  'token-file',
  'token-url',
  'proxy',
  'ca',
  'limit-upload',
  'limit-download',
  'concurrency',
  'max-xorb-bytes',
  'max-memory',
  'workers',
] as const;

type Place = (name: string) => string | undefined;

/** @throws OrbweaverError USAGE */
export async function settingsOf(args: ParsedArgs, context: CliContext): Promise<Settings> {
  const { cwd } = context;
  const config = await configOf(context);
  const fromEnv = envPlace(context);
  const fromConfig: Place = (name) => config.get(name);
  const all = withMore(withMore(args, known(fromEnv)), fromConfig);
  const endpoint = all.text('endpoint') ?? null;
  const places = [args.text, fromEnv, fromConfig];
  const token = await tokenOf(places, cwd);
  const tokenUrl = places.map((place) => place('token-url')).find((url) => url !== undefined);
  return {
    args: all,
    endpoint,
    connection: {
      token: tokenUrl === undefined ? token?.source : tokenUrlOf(tokenUrl, token?.text),
      ...(await networkOf(endpoint, { args, all, fromEnv, fromConfig }, context)),
    },
    tokenText: token?.text,
  };
}

/**
 * How a server other than a store is reached: the same places, without endpoint and token, which are the
 * store's. @throws OrbweaverError USAGE
 */
export async function networkSettingsOf(
  url: string,
  args: ParsedArgs,
  context: CliContext,
): Promise<NetworkSettings> {
  const config = await configOf(context);
  const fromEnv = envPlace(context);
  const fromConfig: Place = (name) => config.get(name);
  const all = withMore(withMore(args, known(fromEnv)), fromConfig);
  return networkOf(url, { args, all, fromEnv, fromConfig }, context);
}

async function networkOf(
  url: string | null,
  places: {
    readonly args: ParsedArgs;
    readonly all: ParsedArgs;
    readonly fromEnv: Place;
    readonly fromConfig: Place;
  },
  { env, cwd }: CliContext,
): Promise<NetworkSettings> {
  const { args, all, fromEnv, fromConfig } = places;
  const ca = args.text('ca') ?? fromEnv('ca') ?? env['SSL_CERT_FILE'] ?? fromConfig('ca');
  return {
    ...proxyOf(url, [args.text('proxy') ?? fromEnv('proxy'), fromConfig('proxy')], env),
    ca: ca ? await textOf(ca, '--ca', cwd) : undefined,
    ...limitOptionsOf(all),
  };
}

function envPlace({ env }: CliContext): Place {
  return (name) => env[`ORBWEAVER_${name.toUpperCase().replaceAll('-', '_')}`] || undefined;
}

/** Only what may stand there. */
function known(place: Place): Place {
  return (name) => ((NAMES as readonly string[]).includes(name) ? place(name) : undefined);
}

/** The same for commands that need a server. @throws OrbweaverError USAGE */
export async function serverSettingsOf(
  args: ParsedArgs,
  context: CliContext,
): Promise<Settings & { readonly endpoint: string }> {
  const settings = await settingsOf(args, context);
  const { endpoint } = settings;
  if (endpoint === null) {
    throw usage('no endpoint: pass --endpoint URL or set ORBWEAVER_ENDPOINT');
  }
  return { ...settings, endpoint };
}

async function configOf({ env, cwd }: CliContext): Promise<ReadonlyMap<string, string>> {
  const named = env['ORBWEAVER_CONFIG'];
  const { HOME, XDG_CONFIG_HOME } = env;
  const folder = XDG_CONFIG_HOME || (HOME ? join(HOME, '.config') : undefined);
  const path = named || (folder === undefined ? undefined : join(folder, 'orbweaver/config.json'));
  if (path === undefined) return new Map();
  let text: string;
  try {
    text = await readFile(resolve(cwd, path), 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'it cannot be read';
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return new Map();
    throw usage(`the config file "${path}" cannot be read: ${code}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw usage(`the config file "${path}" expected JSON`);
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw usage(`the config file "${path}" expected an object of settings`);
  }
  return new Map(
    Object.entries(json).map(([name, value]) => {
      if (!(NAMES as readonly string[]).includes(name)) {
        const guess = nearest(name, NAMES);
        const hint = guess === undefined ? '' : `; did you mean "${guess}"?`;
        throw usage(`the config file "${path}" has no setting "${name}"${hint}`);
      }
      if (typeof value !== 'string' && typeof value !== 'number') {
        throw usage(`"${name}" in the config file "${path}" expected a text or a number`);
      }
      return [name, String(value)];
    }),
  );
}

/** A token, or a file that is read again when the server refuses what it held. */
async function tokenOf(
  places: readonly Place[],
  cwd: string,
): Promise<{ readonly source: string | TokenSource; readonly text: string } | null> {
  for (const place of places) {
    const token = place('token');
    const file = place('token-file');
    if (token !== undefined && file !== undefined) {
      throw usage('a token expected --token or --token-file, got both');
    }
    if (token !== undefined) return { source: token, text: token };
    if (file === undefined) continue;
    const read = (): Promise<string> => textOf(file, '--token-file', cwd);
    let text = await read();
    const get = async (): Promise<string> => text;
    const refresh = async (): Promise<string> => {
      text = await read();
      return text;
    };
    return { source: { get, refresh }, text };
  }
  return null;
}

/** The URL is not shown: it may hold a secret. */
export function tokenUrlOf(
  url: string,
  token: string | undefined,
  option = '--token-url',
): TokenUrl {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw usage(`${option} expected an http or https URL`);
  }
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return { refreshUrl: url, headers };
}

async function textOf(path: string, option: string, cwd: string): Promise<string> {
  try {
    return (await readFile(resolve(cwd, path), 'utf8')).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'it cannot be read';
    throw usage(`${option} expected a file that can be read, got "${path}": ${code}`);
  }
}

/** The proxy for an endpoint: one that was asked for, else those that all programs look at. */
function proxyOf(
  endpoint: string | null,
  [own, config]: readonly (string | undefined)[],
  env: CliContext['env'],
): Pick<ClientOptions, 'proxy' | 'noProxy'> {
  const either = (name: string): string | undefined =>
    env[name] || env[name.toUpperCase()] || undefined;
  const isSecure = endpoint?.toLowerCase().startsWith('https:') === true;
  const common = either(isSecure ? 'https_proxy' : 'http_proxy') ?? either('all_proxy');
  const [text, from] =
    own !== undefined
      ? [own, '--proxy']
      : common !== undefined
        ? [common, isSecure ? '$HTTPS_PROXY' : '$HTTP_PROXY']
        : [config, '"proxy" in the config file'];
  if (text === undefined || text === '' || text === 'none') return {};
  // Written without a scheme it is one of http, as everywhere.
  const proxy = text.includes('://') ? text : `http://${text}`;
  // The value is not shown: it may hold a password.
  if (!URL.canParse(proxy) || !/^https?:$/.test(new URL(proxy).protocol)) {
    throw usage(`${from} expected an http or https URL, or none`);
  }
  return {
    proxy,
    noProxy: (either('no_proxy') ?? '').split(/[\s,]+/).filter((rule) => rule !== ''),
  };
}
