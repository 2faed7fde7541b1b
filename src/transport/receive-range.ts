import type { ByteRange, RangeReceiver } from '../client/ports.js';
import type { DirectConnect } from './direct-connect.js';
import { DirectConnection } from './direct-connection.js';
import type { HttpContext } from './http.js';
import { abortedError, throwIfAborted } from './sleep.js';
import { startWatchdog } from './watchdog.js';

/**
 * Reads one range straight into the caller's memory, as far as that goes: undici hands bodies out in
 * buffers of 64 KiB of its own, and for xorb data making, parsing, copying and collecting those costs
 * three times what the system takes to receive the bytes (docs/performance.md).
 *
 * This is for the one case that matters, an answer that is exactly the asked range. It never tries
 * again and never judges: whatever else comes, or breaks, is left to `fetchRanges`, which asks for
 * what is missing and knows redirects, refusals and retries.
 */
export type ReceiveRange = (
  url: string,
  range: ByteRange,
  receiver: RangeReceiver,
  signal: AbortSignal | undefined,
) => Promise<number>;

/** Idle connections: shorter than any server keeps them, long enough for the next range. */
const IDLE_MS = 4_000;
/** Origins whose answers are of another form; beyond this many all are forgotten. */
const MOST_ORIGINS = 256;

export function createReceiveRange(
  context: HttpContext,
  connect: DirectConnect | null,
): { readonly receiveRange: ReceiveRange; close(): void } {
  const idle = new Map<string, Set<DirectConnection>>();
  const unsuited = new Set<string>();
  const all = new Set<DirectConnection>();
  let closed = false;

  const open = async (url: URL): Promise<DirectConnection | null> => {
    if (connect === null) return null;
    const connection = new DirectConnection();
    const socket = await connect(url, connection.onread);
    if (socket === null) return null;
    connection.attach(socket);
    if (closed) connection.destroy();
    else {
      all.add(connection);
      socket.once('close', () => {
        all.delete(connection);
        idle.get(url.origin)?.delete(connection);
      });
    }
    return connection;
  };
  const take = (url: URL): Promise<DirectConnection | null> => {
    const resting = idle.get(url.origin);
    for (const connection of resting ?? []) {
      resting?.delete(connection);
      if (connection.usable) return Promise.resolve(connection);
    }
    return open(url);
  };
  const giveBack = (url: URL, connection: DirectConnection): void => {
    const resting = idle.get(url.origin) ?? new Set();
    idle.set(url.origin, resting.add(connection));
    connection.rest(IDLE_MS);
  };

  const receiveRange: ReceiveRange = async (text, range, receiver, signal) => {
    throwIfAborted(signal);
    const url = await context.policy.check(text);
    if (connect === null || unsuited.has(url.origin)) return 0;
    await context.limiter.enter(url.host, signal);
    const connection = await take(url);
    if (connection === null) return 0;
    const abort = (): void => connection.destroy();
    const watchdog = startWatchdog(context.clock, context.stallTimeoutMs, abort);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      if (signal?.aborted === true) abort();
      const request = { text: requestText(context, url, range), range, receiver, watchdog };
      const { head, receivedBytes, reusable } = await connection.run(request);
      throwIfAborted(signal);
      if (head !== null) {
        context.reachedHosts.add(url.host);
        if (head.status === 206) context.limiter.succeeded(url.host);
        // Redirects, whole objects, codings: this origin will go on answering like that.
        if (head.status < 400 && receivedBytes === 0) {
          if (unsuited.size >= MOST_ORIGINS) unsuited.clear();
          unsuited.add(url.origin);
        }
      }
      if (reusable && !closed) giveBack(url, connection);
      else connection.destroy();
      return receivedBytes;
    } catch (error) {
      connection.destroy();
      if (signal?.aborted === true) throw abortedError(signal);
      throw error;
    } finally {
      watchdog.stop();
      signal?.removeEventListener('abort', abort);
    }
  };

  return {
    receiveRange,
    close() {
      closed = true;
      for (const connection of all) connection.destroy();
    },
  };
}

/** No token, no custom header, no Referer; the URL parser leaves no space or line end in a path. */
function requestText(context: HttpContext, url: URL, range: ByteRange): string {
  const headers = {
    host: url.host,
    connection: 'keep-alive',
    accept: '*/*',
    ...context.commonHeaders,
    range: `bytes=${range.start}-${range.end - 1}`,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
