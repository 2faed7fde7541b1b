import { createWriteStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import { listen } from './listen.js';

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

const NOTHING: SinkCounts = { xorbCount: 0, xorbBytes: 0, shardCount: 0, shardBytes: 0 };

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
export async function createSinkServer({ keepDir }: SinkOptions = {}): Promise<SinkServer> {
  const counts = { ...NOTHING };
  /** Names of kept shards, apart from the counts: a reset must not overwrite them. */
  let keptShards = 0;

  /** Reads a body to its end. Its length. */
  async function take(request: IncomingMessage, keepAs?: string): Promise<number> {
    let bytes = 0;
    request.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    if (keepDir === undefined || keepAs === undefined) await finished(request);
    else await pipeline(request, createWriteStream(join(keepDir, keepAs)));
    return bytes;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0] as string;
    const posted = request.method === 'POST' ? path : '';
    const xorb = /^\/v1\/xorbs\/[^/]+\/([0-9a-f]{64})$/.exec(posted)?.[1];
    if (xorb !== undefined) {
      counts.xorbBytes += await take(request, `xorb-${xorb}`);
      counts.xorbCount++;
      respond(response, 200, '{"was_inserted":true}');
    } else if (/^(\/v[12])?\/shards$/.test(posted)) {
      counts.shardBytes += await take(request, `shard-${keptShards++}`);
      counts.shardCount++;
      const lines = posted === '/v2/shards';
      if (lines) respond(response, 200, '{"type":"result","result":1}\n', 'application/x-ndjson');
      else respond(response, 200, '{"result":1}');
    } else {
      await take(request);
      if (posted === '/v1/telemetry') respond(response, 200, '{}');
      else respond(response, 404, '');
    }
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  // A body may take as long as it takes: a slow client is what is measured.
  server.requestTimeout = 0;
  const { port, close } = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    counts: () => ({ ...counts }),
    reset: () => void Object.assign(counts, NOTHING),
    close,
  };
}

function respond(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'application/json',
): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
