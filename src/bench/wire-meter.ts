import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** What the servers behind some ports have seen since the last reset. */
export interface WireCounts {
  readonly requests: number;
  /** Bytes that their sockets received: bodies and headers. */
  readonly wireUpBytes: number;
  /** Bytes that their sockets sent. */
  readonly wireDownBytes: number;
}

export interface WireMeter {
  counts(): WireCounts;
  reset(): void;
  stop(): void;
}

/**
 * Counts requests and bytes at the sockets of the HTTP servers of this process that listen on these
 * ports, whoever made them, through the diagnostics channels of Node: nothing lies in the way of the
 * bytes.
 */
export function createWireMeter(ports: readonly number[]): WireMeter {
  const open = new Set<Socket>();
  const done = { requests: 0, bytesRead: 0, bytesWritten: 0 };
  const isOurs = ({ localPort = 0 }: Socket): boolean => ports.includes(localPort);

  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    if (!isOurs(socket)) return;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      done.bytesRead += socket.bytesRead;
      done.bytesWritten += socket.bytesWritten;
    });
  };
  const onRequest = (message: unknown): void => {
    if (isOurs((message as { socket: Socket }).socket)) done.requests++;
  };
  subscribe('net.server.socket', onSocket);
  subscribe('http.server.request.start', onRequest);

  const totals = (): typeof done => {
    const sum = { ...done };
    for (const { bytesRead, bytesWritten } of open) {
      sum.bytesRead += bytesRead;
      sum.bytesWritten += bytesWritten;
    }
    return sum;
  };
  let base = totals();
  return {
    counts() {
      const { requests, bytesRead, bytesWritten } = totals();
      return {
        requests: requests - base.requests,
        wireUpBytes: bytesRead - base.bytesRead,
        wireDownBytes: bytesWritten - base.bytesWritten,
      };
    },
    reset() {
      base = totals();
    },
    stop() {
      unsubscribe('net.server.socket', onSocket);
      unsubscribe('http.server.request.start', onRequest);
    },
  };
}
