import type { ErrorCode } from '../../src/errors.js';
import { type Answer, type Fault, give, type Kind } from './proxy.js';
import { STALL_MS } from './world.js';

/** What becomes of a transfer. */
export type Outcome =
  /** It succeeds; the codes of the attempts that were repeated, in order, and how often it asked. */
  | { readonly goesOn: readonly ErrorCode[]; readonly requests: number; readonly waitsMs?: number }
  /** It fails with this code after so many requests. */
  | { readonly fails: ErrorCode; readonly requests: number; readonly status?: number };

/** One fault at one place: what happens when it passes, and when it does not. */
export interface Row {
  readonly what: string;
  readonly at: Exclude<Kind, 'other' | 'grant' | 'put' | 'commit'>;
  readonly fault: Fault;
  /** The first request of the kind meets it. */
  readonly once: Outcome;
  /** All of them do. Null: it could go on for ever (slow), or is the same as once. */
  readonly always: Outcome | null;
  /** The fault asks for a pause: time passes while nothing moves. */
  readonly waits?: boolean;
}

/** Attempts of one request: the first and six more. */
const ALL = 7;

const goesOn = (...codes: ErrorCode[]): Outcome => ({
  goesOn: codes,
  requests: codes.length + 1,
});
const fails = (code: ErrorCode, requests: number, status?: number): Outcome => ({
  fails: code,
  requests,
  ...(status === undefined ? {} : { status }),
});

// Faults that need nothing of the response.

const cut: Fault = ({ request }) => request.socket.destroy();

const silent =
  (ms: number): Fault =>
  async ({ request, pass }) => {
    await request.body;
    await pass(ms);
  };
const silence = silent(STALL_MS);

/** Not a byte of the body is read. */
const deaf =
  (ms: number): Fault =>
  async ({ request, pass }) => {
    request.raw.pause();
    await pass(ms);
  };

const says =
  (status: number, text = '', headers: Record<string, string> = {}): Fault =>
  async ({ request, response }) => {
    await request.body;
    response.writeHead(status, headers).end(text);
  };

/** The body is refused while it is sent, and the connection reset: proxies that limit bodies. */
const refusedAndCut: Fault = ({ request, response }) => {
  response.writeHead(413, { connection: 'close' });
  response.end('too large', () => request.socket.destroySoon());
};

const cutAfterPartOfBody: Fault = ({ request }) => {
  request.raw.once('data', () => request.socket.destroy());
};

// Faults of the response.

const changed =
  (change: (answer: Answer) => Answer): Fault =>
  async ({ forward, response }) =>
    give(response, change(await forward()));

const cutInside: Fault = async ({ forward, response, request }) => {
  const { status, headers, bytes } = await forward();
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length >> 1), () => request.socket.destroySoon());
};

const silentInside: Fault = async ({ forward, response, pass }) => {
  const { status, headers, bytes } = await forward();
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length >> 1));
  await pass(STALL_MS);
};

/** Eight pieces: much longer than the stall timeout in all, each one well inside of it. */
const slow: Fault = async ({ forward, response, pass }) => {
  const { status, headers, bytes } = await forward();
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  const step = Math.ceil(bytes.length / 8);
  for (let at = 0; at < bytes.length; at += step) {
    response.write(bytes.subarray(at, at + step));
    await pass(STALL_MS / 2);
  }
  response.end();
};

/** Ends in good order, without a length, in the middle. */
const truncated: Fault = async ({ forward, response }) => {
  const { status, headers, bytes } = await forward();
  const { 'content-length': _, 'content-range': __, ...rest } = headers;
  response.writeHead(status, { ...rest, 'transfer-encoding': 'chunked' });
  response.end(bytes.subarray(0, bytes.length >> 1));
};

/** Bytes of another place, and says so. */
const wrongRange: Fault = async ({ forward, response }) => {
  const answer = await forward({ headers: { range: 'bytes=210010-211009' } });
  give(response, answer);
};

/** Bytes of another place, as if they were those that were asked for. */
const lyingRange: Fault = changed((answer) => ({
  ...answer,
  bytes: Buffer.concat([answer.bytes.subarray(100), answer.bytes.subarray(0, 100)]),
}));

/** The whole object, with 200, as servers do that know no ranges; what nobody asked for is zeros. */
const wholeFor206: Fault = async ({ request, forward, response }) => {
  const { headers, bytes } = await forward();
  const { 'content-range': _, ...rest } = headers;
  const start = Number(/=(\d+)-/.exec(request.headers['range'] ?? '')?.[1]);
  const whole = Buffer.concat([Buffer.alloc(start), bytes, Buffer.alloc(1000)]);
  give(response, { status: 200, headers: rest, bytes: whole });
};

const corrupt: Fault = changed((answer) => {
  const bytes = Buffer.from(answer.bytes);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] as number) ^ 0x10;
  return { ...answer, bytes };
});

const encoded: Fault = changed((answer) => ({
  ...answer,
  headers: { ...answer.headers, 'content-encoding': 'gzip' },
}));

const shorter: Fault = async ({ request, response, forward, shorterHash }) =>
  give(response, await forward({ path: request.path.replace(/[0-9a-f]{64}/, shorterHash) }));

const elsewhere =
  (status: number): Fault =>
  async ({ request, response, otherUrl }) => {
    await request.body;
    response.writeHead(status, { location: `${otherUrl}${request.path}` }).end();
  };

const expired = says(403, '<Code>AccessDenied</Code><Message>Request has expired</Message>');

const refused = says(401, 'token expired');

/** What can go wrong with any request that sends something. */
export const SENT: readonly (readonly [what: string, fault: Fault, waits?: boolean])[] = [
  ['the connection is cut before the response', cut],
  ['the connection is cut in the middle of the body that is sent', cutAfterPartOfBody],
  ['the connection is cut in the middle of the response', cutInside],
  // A store may take five minutes for what it has all of.
  ['no response comes', silent(300_000)],
  ['nobody reads the body that is sent', deaf(300_000)],
  ['429 with Retry-After', says(429, 'slow down', { 'retry-after': '7' }), true],
  ['429 without Retry-After', says(429), true],
  ['503 with Retry-After', says(503, 'restarting', { 'retry-after': '3' }), true],
  ['500', says(500, '<html>proxy</html>')],
  ['502', says(502, '<html>proxy</html>')],
  ['504', says(504, '<html>proxy</html>')],
  ['507', says(507, 'no room')],
  ['400', says(400, 'no')],
  ['413, and the connection is cut', refusedAndCut],
  ['401', says(401, 'token expired')],
  ['403', says(403, 'read only')],
  ['404', says(404, 'what?')],
  ['409', says(409, 'another one is at it')],
  ['a redirect to another host (302)', elsewhere(302)],
  ['a redirect to another host (307)', elsewhere(307)],
  ['a response that is something else', says(200, '<html>log in to the guest network</html>\n')],
];

const UPLOADS = ['xorb', 'shard'] as const;
const ANSWERS = ['xorb', 'shard', 'plan'] as const;
const DOWNLOADS = ['plan', 'range'] as const;
const TRANSFERS = [...UPLOADS, ...DOWNLOADS] as const;

/** The same row at several places. */
function at(places: readonly Row['at'][], row: Omit<Row, 'at'>): Row[] {
  return places.map((place) => ({ ...row, at: place }));
}

/**
 * Every fault, at every place where it can happen. A row fails when what handles its fault is taken
 * away; which code that is stands in the code itself (`transport/retry-table.ts`, `watchdog.ts`,
 * `read-ranges.ts`, `client/download/fetch.ts`).
 */
export const TABLE: readonly Row[] = [
  ...at(TRANSFERS, {
    what: 'the connection is cut before the response',
    fault: cut,
    once: goesOn('NETWORK'),
    always: fails('NETWORK', ALL),
  }),
  ...at(['xorb'], {
    what: 'the connection is cut in the middle of the body that is sent',
    fault: cutAfterPartOfBody,
    once: goesOn('NETWORK'),
    always: fails('NETWORK', ALL),
  }),
  ...at(['xorb', 'plan', 'range'], {
    what: 'the connection is cut in the middle of the response',
    fault: cutInside,
    once: goesOn('NETWORK'),
    always: null,
  }),
  ...at(DOWNLOADS, {
    what: 'no response comes',
    fault: silence,
    once: goesOn('STALLED'),
    always: fails('STALLED', ALL),
  }),
  ...at(UPLOADS, {
    what: 'no response comes',
    fault: silence,
    once: goesOn('STALLED'),
    always: null,
  }),
  ...at(['xorb'], {
    what: 'nobody reads the body that is sent',
    fault: deaf(STALL_MS),
    once: goesOn('STALLED'),
    always: null,
  }),
  ...at(['plan', 'range'], {
    what: 'the response stops in the middle',
    fault: silentInside,
    once: goesOn('STALLED'),
    always: null,
  }),
  ...at(DOWNLOADS, {
    what: 'the response is slow, longer in all than any silence may be',
    fault: slow,
    once: goesOn(),
    always: null,
  }),
  ...at(TRANSFERS, {
    what: '429 with Retry-After',
    fault: says(429, 'slow down', { 'retry-after': '7' }),
    waits: true,
    once: { ...goesOn('RATE_LIMITED'), waitsMs: 7_000 },
    always: fails('RATE_LIMITED', ALL, 429),
  }),
  ...at(TRANSFERS, {
    what: '429 without Retry-After',
    fault: says(429),
    waits: true,
    once: { ...goesOn('RATE_LIMITED'), waitsMs: 1_000 },
    always: fails('RATE_LIMITED', ALL, 429),
  }),
  ...at(TRANSFERS, {
    what: '503 with Retry-After',
    fault: says(503, 'restarting', { 'retry-after': '3' }),
    waits: true,
    once: { ...goesOn('SERVER_ERROR'), waitsMs: 3_000 },
    always: fails('SERVER_ERROR', ALL, 503),
  }),
  ...[500, 502, 504].flatMap((status) =>
    at(TRANSFERS, {
      what: `${status}`,
      fault: says(status, '<html>proxy</html>'),
      once: goesOn('SERVER_ERROR'),
      always: fails('SERVER_ERROR', ALL, status),
    }),
  ),
  ...at(TRANSFERS, {
    what: '507, which does not go away by itself',
    fault: says(507, 'no room'),
    once: fails('DISK_FULL', 1, 507),
    always: null,
  }),
  ...at(TRANSFERS, {
    what: '400',
    fault: says(400, 'no'),
    once: fails('REJECTED', 1, 400),
    always: null,
  }),
  ...at(['xorb'], {
    what: '413, and the connection is cut',
    fault: refusedAndCut,
    once: fails('REJECTED', 1, 413),
    always: null,
  }),
  ...at(['xorb', 'shard', 'plan'], {
    what: 'the token is refused (401)',
    fault: refused,
    once: { goesOn: [], requests: 2 },
    always: fails('AUTH_REQUIRED', 2, 401),
  }),
  ...at(['xorb', 'shard', 'plan'], {
    what: 'the token may not do that (403)',
    fault: says(403, 'read only'),
    once: fails('FORBIDDEN', 1, 403),
    always: null,
  }),
  ...at(['range'], {
    what: 'the signed URL has expired (403)',
    fault: expired,
    once: { goesOn: [], requests: 2 },
    always: fails('FORBIDDEN', 4, 403),
  }),
  ...at(['range'], {
    what: 'the signed URL is refused for another reason (403)',
    fault: says(403, 'blocked by the firewall'),
    once: fails('FORBIDDEN', 1, 403),
    always: null,
  }),
  ...at(['plan'], {
    what: 'the response is truncated in good order',
    fault: truncated,
    once: goesOn('TRUNCATED'),
    always: fails('TRUNCATED', ALL),
  }),
  ...at(['range'], {
    what: 'the response is truncated in good order',
    fault: truncated,
    once: goesOn('TRUNCATED'),
    always: null,
  }),
  ...at(['range'], {
    what: 'another range than asked, which is said',
    fault: wrongRange,
    once: goesOn('PROTOCOL'),
    always: fails('PROTOCOL', ALL),
  }),
  ...at(['range'], {
    what: 'another range than asked, which is not said',
    fault: lyingRange,
    once: { goesOn: [], requests: 2 },
    always: fails('UNSUPPORTED', 2),
  }),
  ...at(['plan'], {
    what: 'the reconstruction is that of a shorter file',
    fault: shorter,
    once: fails('INTEGRITY', 1),
    always: null,
  }),
  ...at(['range'], {
    what: '200 with everything for 206',
    fault: wholeFor206,
    once: goesOn(),
    always: goesOn(),
  }),
  ...at(['range'], {
    what: 'a corrupt byte',
    fault: corrupt,
    once: { goesOn: [], requests: 2 },
    always: fails('INTEGRITY', 2),
  }),
  ...at(DOWNLOADS, {
    what: 'an encoding that nobody asked for',
    fault: encoded,
    once: fails('PROTOCOL', 1),
    always: null,
  }),
  ...[302, 307].flatMap((status) => [
    ...at(['range'], {
      what: `a redirect to another host (${status})`,
      fault: elsewhere(status),
      once: goesOn(),
      always: goesOn(),
    }),
    // The other host is not shown the token, and is a store that wants one.
    ...at(['plan'], {
      what: `a redirect to another host (${status})`,
      fault: elsewhere(status),
      once: { goesOn: [], requests: 2 },
      always: fails('AUTH_REQUIRED', 2),
    }),
    ...at(UPLOADS, {
      what: `a redirect to another host (${status})`,
      fault: elsewhere(status),
      once: fails('PROTOCOL', 1, status),
      always: null,
    }),
  ]),
  ...at(ANSWERS, {
    what: 'a response that is something else',
    fault: says(200, '<html>log in to the guest network</html>\n'),
    once: fails('PROTOCOL', 1),
    always: null,
  }),
  // Dedup is an optimisation: it fails nothing, and holds nothing up.
  ...(
    [
      ['is cut', cut],
      ['is not responded to', silence],
      ['is 500', says(500)],
      ['is 429', says(429, '', { 'retry-after': '600' })],
      ['brings something else', says(200, '<html>log in</html>')],
      ['brings a corrupt shard', says(200, `MDB1${'x'.repeat(5_000)}`)],
      ['is redirected', elsewhere(302)],
      ['is refused', says(403)],
    ] as const
  ).flatMap(([what, fault]) =>
    at(['dedup'], { what: `a dedup query ${what}`, fault, once: goesOn(), always: null }),
  ),
];
