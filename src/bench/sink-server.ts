import { createWriteStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** What a sink has taken since the last reset: bodies only. */
export interface SinkCounts {
  readonly xorbCount: number;
  readonly xorbBytes: number;
  readonly shardCount: number;
  readonly shardBytes: number;
}

export interface SinkServer {
  readonly url: string;
  counts(): SinkCounts;
  reset(): void;
  close(): Promise<void>;
}

export interface SinkOptions {
  /**
   * Writes the bodies there, as `xorb-<hash>` and `shard-<number>`, to send them again later.
   * @default nothing is kept
   */
  readonly keepDir?: string | undefined;
}

/**
 * A store that takes everything and keeps nothing: the cheapest server that every client can upload
 * to, so that what is measured is the client. It responds as one without upload grants and global
 * dedup does, and lets every token pass.
 *
 * @example
 * const sink = await createSinkServer();
 * await fetch(`${sink.url}/v1/shards`, { method: 'POST', body: new Uint8Array(10) });
 * sink.counts().shardBytes; // 10
 * await sink.close();
 */
export async function createSinkServer(options: SinkOptions = {}): Promise<SinkServer> {
  let xorbCount = 0;
  let xorbBytes = 0;
  let shardCount = 0;
  let shardBytes = 0;
  /** Names of kept shards, apart from the counts: a reset must not overwrite them. */
  let keptShards = 0;

  /** Reads the body to its end and calls back with its length. */
  const take = (
    request: IncomingMessage,
    response: ServerResponse,
    keepAs: string | null,
    done: (bytes: number) => void,
  ): void => {
    let bytes = 0;
    request.on('error', () => response.destroy());
    request.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    if (options.keepDir === undefined || keepAs === null) {
      request.on('end', () => done(bytes));
      return;
    }
    const file = createWriteStream(join(options.keepDir, keepAs));
    file.on('error', () => response.destroy());
    file.on('finish', () => done(bytes));
    request.pipe(file);
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '/').split('?')[0] as string;
    const posted = request.method === 'POST' ? path : '';
    const xorb = /^\/v1\/xorbs\/[^/]+\/([0-9a-f]{64})$/.exec(posted)?.[1];
    if (xorb !== undefined) {
      take(request, response, `xorb-${xorb}`, (bytes) => {
        xorbCount++;
        xorbBytes += bytes;
        respond(response, 200, { was_inserted: true });
      });
    } else if (posted === '/v2/shards' || posted === '/v1/shards' || posted === '/shards') {
      take(request, response, `shard-${keptShards++}`, (bytes) => {
        shardCount++;
        shardBytes += bytes;
        if (posted !== '/v2/shards') respond(response, 200, { result: 1 });
        else {
          response.writeHead(200, { 'content-type': 'application/x-ndjson' });
          response.end('{"type":"result","result":1}\n');
        }
      });
    } else {
      const known = posted === '/v1/telemetry';
      take(request, response, null, () => respond(response, known ? 200 : 404, known ? {} : null));
    }
  };

  const server = createServer(handle);
  // A body may take as long as it takes: a slow client is what is measured.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    counts: () => ({ xorbCount, xorbBytes, shardCount, shardBytes }),
    reset: () => {
      xorbCount = 0;
      xorbBytes = 0;
      shardCount = 0;
      shardBytes = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function respond(response: ServerResponse, status: number, body: object | null): void {
  const text = body === null ? '' : `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}
