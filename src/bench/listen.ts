import type { AddressInfo, Server, Socket } from 'node:net';

/** A server of this machine on a port that was free. */
export interface Listening {
  readonly port: number;
  /** Ends it and every connection to it. */
  close(): Promise<void>;
}

/** Lets a server, HTTP or not, listen on loopback. */
export async function listen(server: Server): Promise<Listening> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
