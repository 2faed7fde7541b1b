import { ERROR_CODES, type ErrorCode, type ErrorFields } from '../errors.js';

/**
 * What a person is told about a failure: the library says exactly what was expected and what came, for
 * programs and for reports; here that becomes a sentence about the command line, with the next step.
 */
export interface Saying {
  readonly message: string;
  readonly hint: string;
}

/** What is known of a failure. */
export interface Said {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fields?: ErrorFields | undefined;
}

/** Hints that say more than the table can, for those who sit at a command line. */
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  AUTH_REQUIRED: 'Pass a valid token with --token T, or in ORBWEAVER_TOKEN.',
  PROTOCOL:
    'Check that --endpoint is a content-addressed store, and that nothing in between changes what it says.',
  NETWORK: 'Check the endpoint (--endpoint, ORBWEAVER_ENDPOINT) and the network, then try again.',
  INPUT_IS_DIRECTORY: 'Name the files inside it, as in DIR/*.',
  OUTPUT_UNWRITABLE: 'Check that the folder is there and may be written, or choose another one.',
};

const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'no server listens there',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ETIMEDOUT: 'the connection took too long',
  ECONNRESET: 'the connection was cut off',
};

/** `"status" of POST /v1/xorbs at host expected success, got 401: {"error":"…"}` */
const STATUS = /^"status" of (.+) at (\S+) expected success, got (\d{3})(?:: (.*))?$/;
/** `POST /v1/xorbs at host expected a response, got ECONNREFUSED: connect …` */
const NO_RESPONSE = /^(.+) at (\S+) expected a response, got ([A-Z_]+): (.*)$/;
/** `POST /v1/xorbs at host expected a byte in time, got none while waiting for the response` */
const SILENT = /^(.+) at (\S+) expected a byte in time, got none while (.+)$/;

/** The sentence and the next step for a failure of `command`, which is undefined before it is known. */
export function sayingOf({ code, message, fields }: Said, command: string | undefined): Saying {
  return { message: sentenceOf(message, fields), hint: hintOf(code, { message, fields, command }) };
}

/** What the library calls a setting, as the command line spells it. */
const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  [/^"settings\.(\w+)"/, '--set $1=VALUE'],
  [/^"acceptCost" expected true/, '--accept-cost was expected'],
  [/^"token" \(the (\w+)\)/, 'the token (--token-file, here the $1)'],
];

function sentenceOf(said: string, fields: ErrorFields | undefined): string {
  let message = said;
  for (const [pattern, text] of SPELLINGS) message = message.replace(pattern, text);
  const refused = STATUS.exec(message);
  if (refused !== null) {
    const [, operation, host, status, body] = refused;
    const said = body === undefined ? '' : serverText(body, fields);
    if (status?.startsWith('3'))
      return `${host} redirects ${operation} elsewhere (status ${status})`;
    return `${host} refused ${operation} with status ${status}${said === '' ? '' : `: ${said}`}`;
  }
  const stalled = SILENT.exec(message);
  if (stalled !== null) {
    return `${stalled[2]} was silent for too long in ${stalled[1]}, while ${stalled[3]}`;
  }
  const silent = NO_RESPONSE.exec(message);
  if (silent === null) return message;
  const [, operation, host, code = '', text] = silent;
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return `the certificate of ${host} is not trusted: ${text} (${code})`;
  }
  const words = SYSTEM_WORDS[code];
  return words === undefined
    ? message
    : `no response from ${host} to ${operation}: ${words} (${code})`;
}

/** What a server said, without the JSON or the page around it. */
function serverText(body: string, fields: ErrorFields | undefined): string {
  const whole = fields?.['body'];
  try {
    const parsed: unknown = JSON.parse(typeof whole === 'string' ? whole : body);
    if (typeof parsed === 'object' && parsed !== null) {
      const { error, message } = parsed as { error?: unknown; message?: unknown };
      for (const text of [error, message]) if (typeof text === 'string') return text;
    }
  } catch {
    // Not ours; as it is, but for the tags of a page.
  }
  return body
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

interface HintFacts {
  readonly message: string;
  readonly fields: ErrorFields | undefined;
  readonly command: string | undefined;
}

function hintOf(code: ErrorCode, facts: HintFacts): string {
  const transferId = facts.fields?.['transferId'];
  if (typeof transferId !== 'string') return ownHintOf(code, facts);
  const how = `The same command goes on where this one stopped, and so does orbweaver transfers resume ${transferId}.`;
  return code === 'ABORTED' ? how : `${ownHintOf(code, facts)} ${how}`;
}

function ownHintOf(code: ErrorCode, { message, fields, command }: HintFacts): string {
  const own = fields?.['hint'];
  if (typeof own === 'string') return own;
  if (code === 'USAGE') {
    return `See orbweaver ${command === undefined ? '' : `${command} `}--help.`;
  }
  const target = fields?.['target'];
  if (code === 'AUTH_REQUIRED' && typeof target === 'string') {
    return `Pass a valid token for ${target} in ORBWEAVER_${target.toUpperCase()}_TOKEN, or with --token-file FILE.`;
  }
  const ofResponse = responseHintOf(code, { message, fields, command });
  if (ofResponse !== null) return ofResponse;
  if (message.startsWith('"acceptCost" expected')) {
    return 'Nothing was sent. Add --accept-cost if that may be.';
  }
  if (message.startsWith('"splices[')) {
    return 'Splices lie in the stored file and apart from each other: --splice OFFSET:DELETE:FILE.';
  }
  if (message.includes('(EPIPE)')) {
    return 'Its reader ended before all was written: only exit code 0 means that all is there.';
  }
  return HINTS[code] ?? ERROR_CODES[code].hint;
}

/** What the response says about the next step; null: no more than the code does. */
function responseHintOf(code: ErrorCode, { message, fields, command }: HintFacts): string | null {
  const status = fields?.['status'];
  if (typeof status !== 'number') return null;
  if (status === 413 && code === 'REJECTED') {
    return 'Something in between may limit bodies: try --max-xorb-bytes 8MiB.';
  }
  if (status === 429) {
    const waitMs = fields?.['retryAfterMs'];
    const when = typeof waitMs === 'number' ? `in ${Math.ceil(waitMs / 1000)} s` : 'later';
    return `Try again ${when}; --concurrency 1 asks for less at a time.`;
  }
  if (status === 507) return 'The server has no room left: whoever runs it has to make some.';
  if (status >= 300 && status < 400) {
    return 'Redirects are not followed, because the token would go along: give --endpoint the URL at their end.';
  }
  if (status === 403 && message.includes('GET of xorb data')) {
    return 'The URLs of the store may have expired too soon: check the clock of this machine, then try again.';
  }
  if (status === 404 && command === 'upload') {
    return 'Check the endpoint (--endpoint): it is not that of a content-addressed store.';
  }
  return null;
}

/** The name that was most likely meant; undefined: none is near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(name.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of names) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Letters to insert, remove, replace or swap. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
        (row[j - 1] as number) + (same ? 0 : 1),
      );
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) cost = Math.min(cost, (before[j - 2] as number) + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return row[b.length] as number;
}
