import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import process from 'node:process';

/** What all servers of this process have seen since the last reset. */
export interface WireCounts {
  readonly requests: number;
  /** Bytes that their sockets received: bodies and headers. */
  readonly wireUpBytes: number;
  /** Bytes that their sockets sent. */
  readonly wireDownBytes: number;
  /** User and system time of the process. */
  readonly serverCpuMs: number;
}

export interface WireMeter {
  counts(): WireCounts;
  reset(): void;
  stop(): void;
}

/**
 * Counts requests and bytes at the sockets of every HTTP server in this process, whoever made it,
 * through the diagnostics channels of Node: nothing lies in the way of the bytes.
 *
 * @param ignoredPorts listeners that only pass bytes on to another one
 */
export function createWireMeter(ignoredPorts: ReadonlySet<number> = new Set()): WireMeter {
  const open = new Set<Socket>();
  let requests = 0;
  let closedUp = 0;
  let closedDown = 0;
  let base: WireCounts = { requests: 0, wireUpBytes: 0, wireDownBytes: 0, serverCpuMs: 0 };

  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    if (ignoredPorts.has(socket.localPort ?? 0)) return;
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      closedUp += socket.bytesRead;
      closedDown += socket.bytesWritten;
    });
  };
  const onRequest = (): void => {
    requests++;
  };
  subscribe('net.server.socket', onSocket);
  subscribe('http.server.request.start', onRequest);

  const totals = (): WireCounts => {
    let wireUpBytes = closedUp;
    let wireDownBytes = closedDown;
    for (const socket of open) {
      wireUpBytes += socket.bytesRead;
      wireDownBytes += socket.bytesWritten;
    }
    const { user, system } = process.cpuUsage();
    return { requests, wireUpBytes, wireDownBytes, serverCpuMs: (user + system) / 1000 };
  };
  return {
    counts() {
      const now = totals();
      return {
        requests: now.requests - base.requests,
        wireUpBytes: now.wireUpBytes - base.wireUpBytes,
        wireDownBytes: now.wireDownBytes - base.wireDownBytes,
        serverCpuMs: now.serverCpuMs - base.serverCpuMs,
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
