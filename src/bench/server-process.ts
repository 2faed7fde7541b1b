import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { WireCounts } from './wire-meter.js';
import type { ServerTarget } from './work-request.js';

/** Which server to run; `remote` is one that runs already, with only a Hub in front of it. */
export type ServerSpec =
  | { readonly kind: 'sink'; readonly keepDir?: string | undefined }
  | {
      readonly kind: 'gateway';
      readonly data: string;
      readonly workers?: number | undefined;
      readonly link?: LinkSpec | undefined;
    }
  | { readonly kind: 'remote'; readonly endpoint: string; readonly token: string };

/** What lies between a gateway and its clients. */
export interface LinkSpec {
  /** Time of one direction. @default 0 */
  readonly oneWayMs?: number | undefined;
  /** Over TLS with a certificate of its own, written to this path. @default plain */
  readonly certPath?: string | undefined;
}

/** What a server process has counted since the last reset. */
export interface ServerCounts extends WireCounts {
  /** Bodies of xorbs and shards that a sink took; 0 for a gateway, whose folder tells. */
  readonly takenBytes: number;
  /** Peak resident memory of the server process since its start. */
  readonly peakBytes: number;
}

export type ServerCommand = 'reset' | 'counts' | 'stop';
export type ServerReply =
  | ({ readonly type: 'ready' } & ServerTarget)
  | { readonly type: 'done' }
  | { readonly type: 'counts'; readonly counts: ServerCounts };

/** A server that runs in a process of its own. */
export interface ServerProcess {
  readonly target: ServerTarget;
  counts(): Promise<ServerCounts>;
  reset(): Promise<void>;
  /** Lets it end, and ends it when it does not. Safe to call twice. */
  stop(): Promise<void>;
}

const MAIN = new URL('./server-main.js', import.meta.url);
/** A gateway may still be moving its last objects. */
const STOP_MS = 10_000;

/** Starts a server and waits until it listens. @throws Error with what it said when it does not */
export async function startServer(spec: ServerSpec): Promise<ServerProcess> {
  const child = fork(fileURLToPath(MAIN), [JSON.stringify(spec)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [],
  });
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => {
    said = (said + piece.toString('utf8')).slice(-2000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const next = (): Promise<ServerReply> =>
    Promise.race([
      new Promise<ServerReply>((resolve) => child.once('message', resolve)),
      ended.then((): never => {
        throw new Error(`the ${spec.kind} ended: ${said.trim() || 'it said nothing'}`);
      }),
    ]);
  const ready = await next();
  if (ready.type !== 'ready') throw new Error(`the ${spec.kind} answered "${ready.type}" first`);
  const { endpoint, hubUrl, token, caPath } = ready;

  const ask = async (command: ServerCommand): Promise<ServerReply> => {
    const reply = next();
    post(child, command);
    return reply;
  };
  return {
    target: { endpoint, hubUrl, token, caPath },
    counts: async () => {
      const reply = await ask('counts');
      if (reply.type !== 'counts') throw new Error(`expected counts, got "${reply.type}"`);
      return reply.counts;
    },
    reset: async () => {
      await ask('reset');
    },
    stop: async () => {
      post(child, 'stop');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}

function post(child: ChildProcess, command: ServerCommand): void {
  if (child.connected) child.send(command);
}
