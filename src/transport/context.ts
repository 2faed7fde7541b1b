import type { DenseDedup } from '../client/ports.js';
import type { OrbweaverError } from '../errors.js';
import type { Budget, Reservation, Scope } from '../flow/index.js';
import { type Body, type HttpHeaders, type HttpResponse, readAll } from '../http/index.js';
import { type Call, createCall, type Send } from './call.js';
import { announcedDense } from './dense-dedup.js';
import { type AttemptFailure, failure, failureOfStatus } from './failures.js';
import type { Masker } from './mask.js';
import type { RetryPorts } from './retry.js';
import { requestedPauseMs } from './retry-table.js';

/** Everything the calls of one client share. */
export interface Context extends RetryPorts {
  /** Base URL of the CAS; its path ends with a slash. */
  readonly endpoint: URL;
  readonly masker: Masker;
  readonly send: Send;
  /** What responses that are held as a whole take their bytes from. */
  readonly budget: Budget;
  /** Sent to every host. */
  readonly commonHeaders: HttpHeaders;
  readonly stallTimeoutMs: number;
  readonly responseTimeoutMs: number;
  /** What the server has announced; null: nothing so far. */
  dense: DenseDedup | null;
}

/** One call to the CAS. */
export interface CasCall extends Partial<Pick<Call, 'ownPauses' | 'receiveTimeoutMs' | 'onSent'>> {
  readonly method: 'GET' | 'HEAD' | 'POST';
  /** Path below the endpoint, without a leading slash. */
  readonly path: string;
  /** Path for messages: without hashes. */
  readonly label: string;
  readonly scope: Scope;
  readonly responseTimeoutMs?: number;
}

/** A response and the call that it is of. */
export interface Received {
  readonly call: Call;
  readonly response: HttpResponse;
}

/** Read of an error body: more than is kept, so that masking sees what a cut would hide from it. */
const ERROR_TEXT_BYTES = 8192;

export function casCall(context: Context, facts: CasCall): Call {
  const { method, path, label, ...rest } = facts;
  const url = new URL(path, context.endpoint);
  return createCall({ ...rest, name: `${method} /${label}`, method, url, toCas: true });
}

/**
 * One attempt of a call to the CAS.
 * @throws AttemptFailure; the reason of the scope
 */
export async function sendToCas(
  context: Context,
  call: Call,
  {
    headers = {},
    body = null,
  }: { readonly headers?: HttpHeaders; readonly body?: Body | null } = {},
): Promise<Received> {
  const all = { accept: '*/*', ...context.commonHeaders, ...headers };
  const { method, url } = call;
  const response = await context.send({ method, url, headers: all, body, call });
  context.dense = announcedDense(response.headers) ?? context.dense;
  return { call, response };
}

/** The failure that this response is; its body is read. */
export async function statusFailure(
  context: Context,
  { call, response }: Received,
  options: {
    readonly retry?: boolean;
    readonly fields?: (bodyText: string) => OrbweaverError['fields'];
  } = {},
): Promise<AttemptFailure> {
  const bodyText = await textOf(response.body);
  call.scope.check();
  const { status, headers } = response;
  return failureOfStatus(
    call,
    {
      status,
      requestId: headers['x-request-id'] ?? null,
      bodyText,
      pauseMs: requestedPauseMs(headers, context.clock.unixMs()),
      ...(options.retry === undefined ? {} : { retry: options.retry }),
      ...(options.fields === undefined ? {} : { fields: options.fields(bodyText) }),
    },
    context.masker,
  );
}

/** The start of a body as text, as far as it comes. */
async function textOf(body: Body | null): Promise<string> {
  if (body === null) return '';
  const bytes = new Uint8Array(ERROR_TEXT_BYTES);
  let length = 0;
  try {
    while (length < bytes.length) {
      const count = await body.fill(bytes.subarray(length));
      if (count === 0) break;
      length += count;
    }
  } catch {
    // An error text that breaks off is still an error text.
  }
  if (length === bytes.length) body.cancel();
  return new TextDecoder().decode(bytes.subarray(0, length));
}

/** Bytes that a held body has from the beginning; most are smaller. */
const FIRST_BYTES = 64 * 1024;

/**
 * All of a body, while `use` makes something of it. Its bytes are taken from the budget as they
 * arrive: what a server announces and does not send costs nothing. `beforeTaking` may refuse them
 * before that, by throwing; it is told how many there will be in all.
 *
 * @throws AttemptFailure `PROTOCOL` when it is longer than `limitBytes`; what `beforeTaking` throws
 */
export async function withHeldBody<T>(
  context: Context,
  { call, response }: Received,
  {
    limitBytes,
    beforeTaking,
  }: {
    readonly limitBytes: number;
    readonly beforeTaking?: ((totalBytes: number) => void) | undefined;
  },
  use: (bytes: Uint8Array) => T,
): Promise<T> {
  const reservation = await context.budget.acquire(FIRST_BYTES, call.scope);
  const count = (totalBytes: number): Promise<void> => {
    beforeTaking?.(totalBytes);
    return grow(context, call, reservation, totalBytes);
  };
  try {
    return use(await readAll(response.body, limitBytes, count));
  } catch (exception) {
    if (!isTooLong(exception)) throw exception;
    throw failure(call, 'PROTOCOL', `${exception.message} (${call.name})`, {
      retry: false,
      fields: { limitBytes },
    });
  } finally {
    reservation.release();
  }
}

/** How often a body that found no memory looks again, and how long. */
const BUDGET_POLL_MS = 20;
const BUDGET_WAIT_MS = 5_000;

/**
 * Several bodies may each hold a part of the memory that all of them need, so none waits for ever.
 * @throws AttemptFailure `LIMIT_EXCEEDED`, to be tried again
 */
async function grow(
  { budget }: Context,
  call: Call,
  reservation: Reservation,
  bytes: number,
): Promise<void> {
  // As with `acquire`: more than all of it counts as all of it.
  const wanted = Math.min(bytes, budget.capacityBytes);
  if (wanted <= reservation.bytes) return;
  for (let waitedMs = 0; !reservation.resize(wanted); waitedMs += BUDGET_POLL_MS) {
    if (waitedMs >= BUDGET_WAIT_MS) {
      const message = `${call.name} expected ${wanted} bytes of memory for its response, got none`;
      throw failure(call, 'LIMIT_EXCEEDED', message, { retry: true });
    }
    await call.scope.sleep(BUDGET_POLL_MS);
  }
}

function isTooLong(exception: unknown): exception is OrbweaverError {
  const code = (exception as { code?: unknown } | null)?.code;
  return code === 'LIMIT_EXCEEDED';
}

/** A JSON body. @throws AttemptFailure `PROTOCOL`; `TRUNCATED`, to be tried again, when it was cut */
export async function readJson<T>(
  context: Context,
  received: Received,
  limitBytes: number,
  use: (json: unknown) => T,
): Promise<T> {
  return withHeldBody(context, received, { limitBytes }, (bytes) => {
    const text = decoded(bytes);
    let json: unknown;
    try {
      json = JSON.parse(text ?? '');
    } catch {
      throw notJson(received, bytes.length, text);
    }
    return use(json);
  });
}

/**
 * Takes a body in which nothing has to be and that is not looked at, unless it is a page: networks that want
 * their guests to log in say 200 to everything, with one.
 *
 * @throws AttemptFailure `PROTOCOL` for a page, or what is no text
 */
export async function ownBody(
  context: Context,
  received: Received,
  limitBytes: number,
): Promise<void> {
  await withHeldBody(context, received, { limitBytes }, (bytes) => {
    const text = decoded(bytes);
    if (text !== null && !/^\s*</.test(text)) return;
    const message = `"body" of ${received.call.name} expected JSON or nothing, got ${bytes.length} bytes of something else`;
    throw failure(received.call, 'PROTOCOL', message, {
      retry: false,
      fields: { status: received.response.status },
    });
  });
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The parser's message quotes the text; it is not passed on. */
function notJson(
  { call, response }: Received,
  length: number,
  text: string | null,
): AttemptFailure {
  // Without a length nobody else notices that the end is missing.
  const cut = response.body?.sizeBytes === undefined && /^\s*[[{]/.test(text ?? '');
  const got = cut ? `the first ${length} bytes of it` : `${length} bytes of something else`;
  const message = `"body" of ${call.name} expected JSON, got ${got}`;
  return failure(call, cut ? 'TRUNCATED' : 'PROTOCOL', message, {
    retry: cut,
    fields: { status: response.status },
  });
}
