import { connect, type Socket } from 'node:net';
import type { HttpRequest } from '../../http/index.js';
import {
  type ConnectOptions,
  limitConnecting,
  socketHost,
  socketSettings,
  type Wire,
} from './connect.js';
import { SocketConnection } from './socket-connection.js';

/** Idle connections: shorter than any server keeps them, long enough for the next range. */
const IDLE_MS = 4_000;

/**
 * Reads over plain connections, straight into the reader's memory: making, parsing, copying and
 * collecting the buffers of `node:http` costs three times what the system takes to receive the bytes
 * (bench/notes/performance.md). For `http:` and requests without a body only. Never for TLS: a paused TLS
 * socket goes on delivering what it has decrypted, which has nowhere to go.
 */
export function createSocketWire(options: ConnectOptions): Wire {
  const idle = new Map<string, Set<SocketConnection>>();
  const all = new Set<SocketConnection>();
  let closed = false;

  const open = async (url: URL, signal: AbortSignal): Promise<SocketConnection> => {
    const rests = idle.get(url.origin) ?? new Set();
    idle.set(url.origin, rests);
    const connection = new SocketConnection(() => {
      if (closed) connection.destroy();
      rests.add(connection);
      connection.rest(IDLE_MS);
    });
    const socket = await connected(url, connection, { options, signal });
    all.add(connection);
    socket.once('close', () => {
      all.delete(connection);
      rests.delete(connection);
      if (rests.size === 0 && idle.get(url.origin) === rests) idle.delete(url.origin);
    });
    return connection;
  };
  const take = (url: URL): SocketConnection | null => {
    const rests = idle.get(url.origin);
    for (const connection of rests ?? []) {
      rests?.delete(connection);
      if (connection.usable) return connection;
    }
    return null;
  };

  return {
    async exchange(request) {
      const { url, method, signal } = request;
      signal.throwIfAborted();
      const connection = take(url) ?? (await open(url, signal));
      const abort = (): void => connection.destroy(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted || closed) abort();
      const head = await connection.ask(method, requestText(request), () =>
        signal.removeEventListener('abort', abort),
      );
      return { status: head.status, headers: head.headers, body: connection.body() };
    },
    async close() {
      closed = true;
      for (const connection of all) connection.destroy();
    },
  };
}

/** A connection that stands; the signal ends the attempt at once. */
function connected(
  url: URL,
  connection: SocketConnection,
  { options, signal }: { readonly options: ConnectOptions; readonly signal: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const settings = { host: socketHost(url), port: Number(url.port || 80) };
    const socket = connect({ ...socketSettings(options), ...settings, onread: connection.onread });
    limitConnecting(socket, options);
    const abort = (): void => {
      socket.destroy();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      socket.off('error', reject);
      connection.attach(socket);
      resolve(socket);
    });
  });
}

/** The URL parser leaves no space or line end in a path, and headers were checked. */
function requestText({ method, url, headers }: HttpRequest): string {
  const all = { host: url.host, connection: 'keep-alive', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
