import { request } from 'node:http';
import { type SeenRequest, startServer, type TestServer } from '../transport/support.js';

/** A server that passes requests on, when `before` has said nothing else. */
export function startFront(
  /** Base URL of the server behind it. */
  url: string,
  /** A status instead of passing it on. */
  before: (request: SeenRequest) => Promise<number | undefined> | number | undefined,
  after: (request: SeenRequest) => void = () => {},
): Promise<TestServer> {
  const { hostname, port } = new URL(url);
  return startServer(async (seen, response) => {
    const { method, path, headers, raw } = seen;
    const status = await before(seen);
    if (status !== undefined) {
      raw.resume();
      response.writeHead(status).end('no more');
      return;
    }
    const inner = request({ hostname, port, method, path, headers }, (answer) => {
      after(seen);
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    inner.on('error', () => response.destroy());
    raw.pipe(inner);
  });
}

export function isXorb({ method, path }: Pick<SeenRequest, 'method' | 'path'>): boolean {
  return method === 'POST' && path.startsWith('/v1/xorbs/');
}
