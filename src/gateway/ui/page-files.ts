import { hexEncode } from '../../bytes/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { HttpHeaders, HttpResponse } from '../../http/index.js';
import type { Call } from '../call.js';
import { paramOf } from '../call.js';
import { isNotModified } from '../conditional.js';
import { failure } from '../failures.js';
import { bytesResponse, emptyResponse } from '../responses.js';
import type { Route } from '../router.js';

/** The files of a web page, in memory. `index.html` is the page itself. */
export interface UiPage {
  readonly files: readonly UiFile[];
  /**
   * Origins besides the page's own that it may talk to: of `publicUrl`, or of a bucket that signs URLs.
   * @default none
   */
  readonly connect?: readonly string[] | undefined;
}

export interface UiFile {
  /** Below `/ui/`, such as `assets/main-ABCD1234.js`. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
  wasm: 'application/wasm',
};

/** Named by a hash of what is in them, so a cache never has to ask again: `name-ABCD1234.js`. */
const HASHED = /-[A-Z0-9]{8}\.[a-z]+$/;

/** Tags tell apart, they prove nothing. */
const TAG_KEY = new Uint8Array(32);

interface Served {
  readonly bytes: Uint8Array;
  readonly tag: string;
  readonly headers: HttpHeaders;
}

/** GET and HEAD below /ui/, to whoever asks: there is nothing of anybody's data in these files. */
export function pageFileRoutes(page: UiPage, hasher: Hasher): Route[] {
  const security = securityHeaders(page.connect ?? []);
  const served = new Map(
    page.files.map(({ path, bytes }): [string, Served] => {
      const digest = new Uint8Array(32);
      hasher.keyed(TAG_KEY, bytes, digest, 0);
      const tag = `"${hexEncode(digest).slice(0, 32)}"`;
      const type = CONTENT_TYPES[path.split('.').at(-1) ?? ''] ?? 'application/octet-stream';
      const cache = HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
      // Weak, because the same file also goes out compressed.
      const headers = {
        'content-type': type,
        'cache-control': cache,
        etag: `W/${tag}`,
        ...security,
      };
      return [path, { bytes, tag, headers }];
    }),
  );

  function serve({ request }: Call, path: string): HttpResponse {
    const file = served.get(path);
    if (file === undefined) throw failure(404, 'NOT_FOUND', 'the page has no such file');
    const { bytes, tag, headers } = file;
    if (isNotModified(request.headers['if-none-match'], tag)) return emptyResponse(304, headers);
    if (request.method !== 'HEAD') return bytesResponse(bytes, headers);
    return emptyResponse(200, { ...headers, 'content-length': String(bytes.length) });
  }

  return (['GET', 'HEAD'] as const).flatMap((method): Route[] => [
    // Relative, so that it is right below any prefix and behind any proxy.
    {
      method,
      path: '/ui',
      scope: null,
      handle: async () => emptyResponse(308, { location: 'ui/' }),
    },
    {
      ...{ method, path: '/ui/', scope: null, compress: true },
      handle: async (call) => serve(call, 'index.html'),
    },
    {
      ...{ method, path: '/ui/*file', scope: null, compress: true },
      handle: async (call) => serve(call, paramOf(call, 'file')),
    },
  ]);
}

/**
 * Nothing but what this server sends runs in the page, nothing else is asked, and no other page frames or
 * opens it. The two `cross-origin-…-policy` isolate it, which is what shared memory needs.
 */
function securityHeaders(connect: readonly string[]): HttpHeaders {
  return {
    'content-security-policy': [
      "default-src 'self'",
      "script-src 'self' 'wasm-unsafe-eval'",
      `connect-src ${["'self'", ...connect].join(' ')}`,
      "img-src 'self' data:",
      "object-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; '),
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}
