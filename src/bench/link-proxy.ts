import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SelfSigned } from './certificate.js';
import { type Listening, listen } from './listen.js';

export interface LinkOptions {
  /** Port on this machine that connections are passed on to, once it is known. */
  readonly target: () => number;
  /** Time that bytes need from one end to the other; a round trip is twice that. @default 0 */
  readonly oneWayMs?: number | undefined;
  /** Speaks TLS towards clients. @default plain */
  readonly tls?: SelfSigned | undefined;
}

/**
 * Bytes under way in one direction of a connection before its sender has to wait: more than the
 * 250 MB/s of a fast link need in 20 ms.
 */
const MAX_BYTES_UNDER_WAY: number = 8 << 20;

/**
 * A link with a delay, TLS or both in front of a server on this machine. Bytes keep their order and
 * are late by `oneWayMs`; a new connection waits a round trip, as a handshake over that link would.
 */
export function createLinkProxy({ target, oneWayMs = 0, tls }: LinkOptions): Promise<Listening> {
  const halfOpen = { allowHalfOpen: true };
  const onConnection = (client: Socket): void => {
    client.setNoDelay(true);
    client.on('error', () => client.destroy());
    setTimeout(() => {
      if (client.destroyed) return;
      const server = connect({ ...halfOpen, port: target(), host: '127.0.0.1', noDelay: true });
      server.on('error', () => client.destroy());
      client.on('error', () => server.destroy());
      carry(client, server, oneWayMs);
      carry(server, client, oneWayMs);
    }, 2 * oneWayMs);
  };
  return listen(
    tls === undefined
      ? createServer(halfOpen, onConnection)
      : createTlsServer({ ...halfOpen, key: tls.key, cert: tls.cert }, onConnection),
  );
}

/** One direction. Timers of the same length fire in the order in which they were set. */
function carry(from: Socket, to: Socket, delayMs: number): void {
  let underWay = 0;
  const later = (work: () => void): void => {
    if (delayMs === 0) work();
    else setTimeout(work, delayMs);
  };
  from.on('data', (bytes: Buffer) => {
    underWay += bytes.length;
    if (underWay >= MAX_BYTES_UNDER_WAY) from.pause();
    later(() => {
      to.write(bytes, () => {
        underWay -= bytes.length;
        if (from.isPaused() && underWay < MAX_BYTES_UNDER_WAY) from.resume();
      });
    });
  });
  from.once('end', () => later(() => to.end()));
  from.once('close', () => later(() => to.destroySoon()));
}
