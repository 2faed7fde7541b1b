import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Bytes of all connections through a proxy of our own, both directions. */
export interface ByteCounter {
  readonly url: string;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  close(): void;
}

/** Listens in front of `url` and counts. */
export async function countBytes(url: string): Promise<ByteCounter> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let sentBytes = 0;
  let receivedBytes = 0;
  const server = createServer((client) => {
    const there = connect(Number(port), hostname);
    for (const socket of [client, there]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      sentBytes += bytes.length;
    });
    there.on('data', (bytes) => {
      receivedBytes += bytes.length;
    });
    client.pipe(there).pipe(client);
    client.on('close', () => there.destroy());
    there.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    get sentBytes() {
      return sentBytes;
    },
    get receivedBytes() {
      return receivedBytes;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
