import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** The Hub's endpoints that a client calls around an upload, in front of a store. */
export interface HubServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface HubOptions {
  /** Base URL of the store that clients are sent to. */
  readonly casUrl: string;
  /** Token that the store takes. */
  readonly token: string;
}

/** Tokens live longer than any run. */
const TOKEN_SECONDS = 24 * 60 * 60;

/**
 * Enough of a Hub for clients that know a store only through one: token, preupload (every file is
 * large), LFS batch (nothing is there yet, use Xet) and commit. It remembers nothing.
 */
export async function createHubServer(options: HubOptions): Promise<HubServer> {
  let url = '';
  const expires = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  const tokenUrl = (): string => `${url}/api/models/bench/bench/xet-write-token/main`;

  const reply = (path: string, body: string): object | null => {
    if (/\/xet-(read|write)-token(\/|$)/.test(path)) {
      return { accessToken: options.token, exp: expires, casUrl: options.casUrl };
    }
    if (/\/preupload\//.test(path)) {
      const { files } = JSON.parse(body) as { files: readonly { path: string }[] };
      return { files: files.map((file) => ({ path: file.path, uploadMode: 'lfs' })) };
    }
    if (path.endsWith('.git/info/lfs/objects/batch')) {
      const { objects } = JSON.parse(body) as {
        objects: readonly { oid: string; size: number }[];
      };
      return {
        transfer: 'xet',
        objects: objects.map(({ oid, size }) => ({
          oid,
          size,
          actions: {
            upload: {
              href: tokenUrl(),
              header: {
                'X-Xet-Session-Id': 'bench',
                'X-Xet-Cas-Url': options.casUrl,
                'X-Xet-Access-Token': options.token,
                'X-Xet-Token-Expiration': String(expires),
              },
            },
          },
        })),
      };
    }
    if (/\/commit\//.test(path)) {
      return { success: true, commitOid: '0'.repeat(40), commitUrl: url, hookOutput: '' };
    }
    return null;
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let status = 200;
    let body: object | null;
    try {
      body = reply((request.url ?? '/').split('?')[0] as string, await text(request));
      if (body === null) status = 404;
    } catch {
      body = { error: 'the body cannot be read' };
      status = 400;
    }
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? { error: 'no such path' }));
  };
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
