import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OrbweaverError } from '../errors.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import {
  type CascadeFaults,
  createMultipartServer,
  type Generation,
  listen,
  type MetadataFaults,
  type MultipartFault,
  type MultipartRoute,
  type PlannedFault,
  startCascadeServer,
  startMetadataServer,
} from '../target-servers/index.js';

/** Test servers of the upload systems, as `orbweaver target-server KIND` starts them. */
export interface TargetServerOptions {
  /** 0: a free one. @default 0 */
  readonly port?: number | undefined;
  /** @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Token, passphrase or key that it takes. @default 'test-token' */
  readonly token?: string | undefined;
  /** Which server it behaves like; see docs/targets.md. @default the newest */
  readonly generation?: string | undefined;
  /** Faults to plan, as they stand in docs/targets.md. @default none */
  readonly faults?: readonly unknown[] | undefined;
}

const RULES: OptionRules<TargetServerOptions> = {
  port: is.integer(0, 65_535),
  host: is.text,
  token: is.text,
  generation: is.text,
  faults: is.object,
};

/** A server that listens. */
export interface RunningTargetServer {
  readonly url: string;
  /** What `--to` takes. */
  readonly to: string;
  readonly token: string;
  /** What else `--set` needs. @default nothing */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  close(): Promise<void>;
}

type Starter = (options: TargetServerOptions) => Promise<RunningTargetServer>;

const STARTERS: Readonly<Record<string, Starter>> = {
  multipart: startMultipart,
  cascade: startCascade,
  metadata: startMetadata,
};

/** Names of the servers. */
export const TARGET_SERVER_KINDS: readonly string[] = Object.keys(STARTERS);

/**
 * @throws OrbweaverError `USAGE` for a kind or generation that does not exist; `PORT_IN_USE`
 * @example
 * const server = await startTargetServer('multipart', { generation: 'g1' });
 * await uploadToTarget(['model.bin'], { to: server.to, token: server.token });
 * await server.close();
 */
export async function startTargetServer(
  kind: string,
  options: TargetServerOptions = {},
): Promise<RunningTargetServer> {
  checkOptions('startTargetServer', options, RULES);
  const starter = Object.hasOwn(STARTERS, kind) ? STARTERS[kind] : undefined;
  if (starter === undefined) {
    throw new OrbweaverError(
      'USAGE',
      `target-server expected one of ${TARGET_SERVER_KINDS.join(', ')}, got "${kind}"`,
    );
  }
  try {
    return await starter(options);
  } catch (error) {
    if (error instanceof RangeError) throw new OrbweaverError('USAGE', error.message, {}, error);
    throw error;
  }
}

async function startMultipart(options: TargetServerOptions): Promise<RunningTargetServer> {
  const { port, host, token = 'test-token', generation = 'g2', faults = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-target-'));
  try {
    const server = createMultipartServer({
      generation: generation.toLowerCase() as Generation,
      clock: SYSTEM_CLOCK,
      tokens: { [token]: 'user' },
      folder: join(folder, 'chunks'),
      faults: faults as readonly PlannedFault<MultipartRoute, MultipartFault>[],
    });
    const listening = await listen(server.exchange, { port, host });
    return {
      url: listening.url,
      to: `multipart:${listening.url}/api`,
      token,
      async close() {
        await listening.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Time between two blocks, and between two steps of a calculation, when nobody advances by hand. */
const STEP_MS = 1000;

async function startCascade(options: TargetServerOptions): Promise<RunningTargetServer> {
  const { token: passphrase = 'test-token', port, host, faults = [] } = options;
  const server = await startCascadeServer({
    port,
    host,
    passphrase,
    blockMs: STEP_MS,
    faults: Object.assign({}, ...faults) as CascadeFaults,
  });
  return {
    url: server.url,
    to: `cascade:${server.url}`,
    token: server.passphrase,
    settings: { pastelId: server.pastelId },
    close: () => server.close(),
  };
}

async function startMetadata(options: TargetServerOptions): Promise<RunningTargetServer> {
  const { token: apiKey = 'test-token', port, host, faults = [] } = options;
  const server = await startMetadataServer({
    port,
    host,
    apiKey,
    tickMs: STEP_MS,
    faults: Object.assign({}, ...faults) as MetadataFaults,
  });
  return {
    url: server.url,
    to: `startrail:${server.url}`,
    token: server.apiKey,
    settings: { issuer: server.issuer },
    close: () => server.close(),
  };
}
