import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a sink has counted since the last reset. */
export interface SinkCounts {
  readonly requests: number;
  readonly wireUpBytes: number;
  readonly wireDownBytes: number;
  readonly xorbBytes: number;
  readonly xorbCount: number;
}

export interface SinkServer {
  readonly url: string;
  counts(): SinkCounts;
  reset(): void;
  close(): Promise<void>;
}

/**
 * A store that takes everything and keeps nothing: the cheapest server that every client can upload
 * to, so that what is measured is the client. It answers as one without upload grants and global
 * dedup does, and lets the token pass that comes.
 */
export async function createSinkServer(): Promise<SinkServer> {
  let requests = 0;
  let wireUpBytes = 0;
  let wireDownBytes = 0;
  let xorbBytes = 0;
  let xorbCount = 0;

  const answer = (response: ServerResponse, status: number, body: object | null): void => {
    const text = body === null ? '' : `${JSON.stringify(body)}\n`;
    wireDownBytes += text.length;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    requests++;
    const path = (request.url ?? '/').split('?')[0] as string;
    const isXorb = request.method === 'POST' && /^\/v1\/xorbs\//.test(path);
    let bytes = 0;
    request.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    request.on('error', () => response.destroy());
    request.on('end', () => {
      wireUpBytes += bytes;
      if (isXorb) {
        xorbBytes += bytes;
        xorbCount++;
        answer(response, 200, { was_inserted: true });
      } else if (request.method === 'POST' && path === '/v2/shards') {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        response.end('{"type":"result","result":1}\n');
      } else if (request.method === 'POST' && (path === '/v1/shards' || path === '/shards')) {
        answer(response, 200, { result: 1 });
      } else if (request.method === 'POST' && path === '/v1/telemetry') {
        answer(response, 200, {});
      } else {
        answer(response, 404, null);
      }
    });
  };

  const server = createServer(handle);
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    counts: () => ({ requests, wireUpBytes, wireDownBytes, xorbBytes, xorbCount }),
    reset: () => {
      requests = 0;
      wireUpBytes = 0;
      wireDownBytes = 0;
      xorbBytes = 0;
      xorbCount = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
