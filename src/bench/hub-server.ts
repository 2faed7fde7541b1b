import { createServer, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { listen } from './listen.js';

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
export async function createHubServer({ casUrl, token }: HubOptions): Promise<HubServer> {
  const exp = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
  const server = createServer(async (request, response) => {
    const [status, body] = await reply(request).catch(() => [400, 'the body cannot be read']);
    response.writeHead(status as number, { 'content-type': 'application/json' });
    response.end(JSON.stringify(status === 200 ? body : { error: body }));
  });
  const { port, close } = await listen(server);
  const url = `http://127.0.0.1:${port}`;
  const upload = {
    href: `${url}/api/models/bench/bench/xet-write-token/main`,
    header: {
      'X-Xet-Session-Id': 'bench',
      'X-Xet-Cas-Url': casUrl,
      'X-Xet-Access-Token': token,
      'X-Xet-Token-Expiration': String(exp),
    },
  };

  async function reply(request: IncomingMessage): Promise<[number, unknown]> {
    const path = (request.url ?? '/').split('?')[0] as string;
    const body = await text(request);
    if (/\/xet-(read|write)-token(\/|$)/.test(path)) {
      return [200, { accessToken: token, exp, casUrl }];
    }
    if (/\/preupload\//.test(path)) {
      const { files } = JSON.parse(body) as { files: readonly { path: string }[] };
      return [200, { files: files.map((file) => ({ path: file.path, uploadMode: 'lfs' })) }];
    }
    if (path.endsWith('.git/info/lfs/objects/batch')) {
      const { objects } = JSON.parse(body) as { objects: readonly { oid: string; size: number }[] };
      const wanted = objects.map(({ oid, size }) => ({ oid, size, actions: { upload } }));
      return [200, { transfer: 'xet', objects: wanted }];
    }
    if (/\/commit\//.test(path)) {
      const commit = { commitOid: '0'.repeat(40), commitUrl: url, hookOutput: '' };
      return [200, { success: true, ...commit }];
    }
    return [404, 'no such path'];
  }
  return { url, close };
}
