import { type IncomingMessage, request } from 'node:http';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectSecure, type SecureContext } from 'node:tls';
import {
  isUnreached,
  isUntrusted,
  PROXY_REFUSED_CODE,
  PROXY_UNREACHED_CODE,
} from '../retry-table.js';
import { type ConnectOptions, connectTimeout, socketHost, socketSettings } from './connect.js';
import type { Trust } from './trust.js';

/** Makes a connection, over that socket if there is one, which stands some time later. */
export type Start = (over: {
  readonly socket?: Socket;
  readonly secureContext?: SecureContext;
}) => Socket;

/** Connections through a proxy, or with TLS: what takes more steps than one. */
export interface Opener {
  /**
   * A connection that stands.
   * @param secure how TLS begins; null: without
   * @param signal ends what nobody waits for any more
   */
  open(to: Place, secure: Start | null, signal: AbortSignal): Promise<Socket>;
  close(): void;
}

/** Where a connection leads. */
interface Place {
  readonly host: string;
  readonly port: number;
}

export interface OpenerOptions {
  readonly connect: ConnectOptions;
  readonly trust: Trust;
  /** Null: none. */
  readonly proxy: URL | null;
}

export function createOpener({ connect: options, trust, proxy }: OpenerOptions): Opener {
  const all = new Set<Attempt>();
  return {
    async open(to, secure, signal) {
      const attempt = new Attempt(options, signal);
      all.add(attempt);
      const tunnel = async (): Promise<Socket | undefined> =>
        proxy === null ? undefined : tunnelTo(to, { attempt, options, trust, proxy });
      try {
        return secure === null
          ? ((await tunnel()) as Socket)
          : await secured(attempt, trust, async (secureContext) => {
              const socket = await tunnel();
              return secure({
                ...(secureContext === undefined ? {} : { secureContext }),
                ...(socket === undefined ? {} : { socket }),
              });
            });
      } finally {
        attempt.end();
        all.delete(attempt);
      }
    },
    close() {
      for (const attempt of all) attempt.fail(new Error('the client was closed'));
    },
  };
}

/** All steps to one connection: what is open of it breaks when the time is over, or nobody waits for it. */
class Attempt {
  #socket: Socket | null = null;
  #error: Error | null = null;
  readonly #cancelTimer: () => void;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.fail(this.#signal.reason as Error);

  constructor({ clock, connectTimeoutMs }: ConnectOptions, signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#cancelTimer = clock.setTimer(connectTimeoutMs, () => {
      this.fail(connectTimeout(connectTimeoutMs));
    });
  }

  /** Resolves with the event's argument when the step is done. */
  step<T>(socket: Socket, begin: (done: (value: T) => void, failed: (e: Error) => void) => void) {
    this.#socket = socket;
    return new Promise<T>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(Object.assign(new Error('cut'), { code: 'ECONNRESET' })));
      begin(resolve, reject);
      if (this.#error !== null) socket.destroy(this.#error);
    });
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.#socket?.destroy(this.#error);
  }

  end(): void {
    this.#cancelTimer();
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

/** TLS; once more when the system knows who vouches for the certificate. */
async function secured(
  attempt: Attempt,
  trust: Trust,
  start: (context: SecureContext | undefined) => Socket | Promise<Socket>,
): Promise<Socket> {
  const once = async (context: SecureContext | undefined): Promise<Socket> => {
    const socket = await start(context);
    await attempt.step<void>(socket, (done) => socket.once('secureConnect', done));
    return socket;
  };
  const used = trust.context;
  try {
    return await once(used);
  } catch (error) {
    if (!isUntrusted(codeOf(error)) || !trust.widen(used)) throw error;
    return once(trust.context);
  }
}

interface TunnelOptions {
  readonly attempt: Attempt;
  readonly options: ConnectOptions;
  readonly trust: Trust;
  readonly proxy: URL;
}

/** A connection to the proxy that it has connected onwards. */
async function tunnelTo(to: Place, parts: TunnelOptions): Promise<Socket> {
  const { attempt, proxy } = parts;
  const socket = await reachProxy(parts).catch((error: Error) => {
    if (!isUnreached(codeOf(error))) throw error;
    const message = `no way to the proxy ${proxy.host}: ${error.message}`;
    throw Object.assign(new Error(message), { code: PROXY_UNREACHED_CODE });
  });
  const host = isIP(to.host) === 6 ? `[${to.host}]` : to.host;
  const path = `${host}:${to.port}`;
  const user = [proxy.username, proxy.password].map(decodeURIComponent).join(':');
  const asking = request({
    createConnection: () => socket,
    method: 'CONNECT',
    path,
    headers: {
      host: path,
      connection: 'keep-alive',
      ...(user === ':'
        ? {}
        : { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` }),
    },
  });
  const { statusCode = 0 } = await attempt.step<IncomingMessage>(socket, (done, failed) => {
    asking.on('error', failed);
    asking.once('connect', (response: IncomingMessage, _, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      done(response);
    });
    asking.end();
  });
  if (statusCode >= 200 && statusCode < 300) {
    // What reads over it tells its errors.
    socket.on('error', () => {});
    return socket;
  }
  socket.destroy();
  const error = new Error(`the proxy ${proxy.host} refused a connection to ${path}: ${statusCode}`);
  const code = statusCode >= 500 || statusCode === 429 ? PROXY_UNREACHED_CODE : PROXY_REFUSED_CODE;
  throw Object.assign(error, { code });
}

async function reachProxy({ attempt, options, trust, proxy }: TunnelOptions): Promise<Socket> {
  const isSecure = proxy.protocol === 'https:';
  const host = socketHost(proxy);
  const settings = {
    ...socketSettings(options),
    // A proxy is where its user says, at whatever address.
    lookup: options.lookup,
    host,
    port: Number(proxy.port || (isSecure ? 443 : 80)),
  };
  if (isSecure) {
    return secured(attempt, trust, (secureContext) => {
      const servername = isIP(host) === 0 ? host : '';
      return connectSecure({ ...settings, servername, secureContext });
    });
  }
  const socket = connect(settings);
  await attempt.step<void>(socket, (done) => socket.once('connect', done));
  return socket;
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | null)?.code ?? '');
}
