import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { RetryPorts } from './attempts.js';
import { type Exchange, type ExchangePorts, exchange } from './exchange.js';
import { AttemptFailure, failure, failureOfAnswer, type Operation } from './failures.js';
import { requestedPauseMs } from './retry-table.js';
import type { Tokens } from './token.js';
import type { UploadBody } from './upload-body.js';
import type { UrlPolicy } from './url-policy.js';

/** Everything the calls of one client share. */
export interface HttpContext extends ExchangePorts, RetryPorts {
  /** Base URL of the CAS; its path ends with a slash. */
  readonly endpoint: URL;
  readonly policy: UrlPolicy;
  readonly tokens: Tokens;
  /** Sent to every host. */
  readonly commonHeaders: Readonly<Record<string, string>>;
  /** Sent to the CAS only: session id and the caller's own headers. */
  readonly casHeaders: Readonly<Record<string, string>>;
  readonly reachedHosts: Set<string>;
  readonly stallTimeoutMs: number;
  readonly answerTimeoutMs: number;
}

/** One request to the CAS. */
export interface CasRequest {
  /** Path below the endpoint, without a leading slash. */
  readonly path: string;
  /** Path for messages: without hashes. */
  readonly label: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: UploadBody;
  readonly signal?: AbortSignal | undefined;
  readonly receiveTimeoutMs?: number;
  readonly onProgress?: (sentBytes: number) => void;
}

/** What the attempts of one call know of each other. */
export interface CallState {
  /** The token was refreshed once in this call. */
  refreshed: boolean;
  /** How many stall timeouts the connection may take nothing of a body. */
  patience: number;
}

export function createCallState(): CallState {
  return { refreshed: false, patience: 1 };
}

/**
 * The kernel tells of room in its send buffer only when a third of it is free, which can be hundreds
 * of KiB: on the slowest links that looks like a stall. So each stall while sending makes the next
 * attempt twice as patient, up to this factor.
 */
const MOST_PATIENCE = 8;

/** An answer and what it answers. */
export interface Answer {
  readonly operation: Operation;
  readonly exchange: Exchange;
}

const MAX_REDIRECTS = 3;
/** Read of an error body: more than is kept, so that masking sees what a cut would hide from it. */
const ERROR_TEXT_BYTES = 8192;

export function casOperation(context: HttpContext, request: CasRequest): Operation {
  return {
    name: `${request.method} /${request.label}`,
    url: new URL(request.path, context.endpoint),
  };
}

/**
 * Sends a request to the CAS with the token. A 401 is repeated once with a newer token. Only GETs
 * follow redirects, and the token stays behind when the origin changes.
 *
 * @throws AttemptFailure, OrbweaverError `ABORTED`, `CLOSED`
 */
export async function sendToCas(
  context: HttpContext,
  request: CasRequest,
  state: CallState,
): Promise<Answer> {
  const operation = casOperation(context, request);
  for (;;) {
    const token = await readToken(context, operation);
    const patient = { ...request, sendTimeoutMs: context.stallTimeoutMs * state.patience };
    const answer = await send(context, operation, patient, (url) =>
      url.origin === context.endpoint.origin
        ? {
            ...context.casHeaders,
            ...request.headers,
            ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
          }
        : { ...request.headers },
    ).catch((exception: unknown) => {
      if (stalledWhileSending(exception)) {
        state.patience = Math.min(state.patience * 2, MOST_PATIENCE);
      }
      throw exception;
    });
    if (answer.exchange.status !== 401 || state.refreshed || token === '') return answer;
    state.refreshed = true;
    const fresh = await readToken(context, operation, token);
    if (fresh === null) return answer;
    await answer.exchange.discard();
  }
}

/**
 * Asks a URL from the server for data: no token, no custom header, no Referer.
 * @throws AttemptFailure, OrbweaverError `UNSAFE_URL`, `ABORTED`, `CLOSED`
 */
export async function sendForData(
  context: HttpContext,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const operation = { name: 'GET of xorb data', url };
  return send(context, operation, { method: 'GET', signal }, () => headers);
}

/** The failure that this answer is; its body is read. */
export async function answerFailure(
  context: HttpContext,
  { operation, exchange: answer }: Answer,
  options: {
    readonly retry?: boolean;
    readonly fields?: (bodyText: string) => OrbweaverError['fields'];
  } = {},
): Promise<AttemptFailure> {
  const bodyText = await answer.text(ERROR_TEXT_BYTES);
  return failureOfAnswer(
    operation,
    {
      status: answer.status,
      requestId: answer.header('x-request-id'),
      bodyText,
      pauseMs: requestedPauseMs(answer.header, context.clock.now()),
      ...(options.retry === undefined ? {} : { retry: options.retry }),
      ...(options.fields === undefined ? {} : { fields: options.fields(bodyText) }),
    },
    context.masker,
  );
}

/** All of a body. @throws AttemptFailure `PROTOCOL` when it is longer than `limitBytes` */
export async function readAll(
  { operation, exchange: answer }: Answer,
  limitBytes: number,
): Promise<Uint8Array> {
  const tooLong = (got: string): AttemptFailure =>
    failure(
      operation,
      'PROTOCOL',
      `"body" of ${operation.name} expected at most ${limitBytes} bytes, got ${got}`,
      { retry: false, fields: { limitBytes } },
    );
  const announced = Number(answer.header('content-length') ?? 0);
  if (announced > limitBytes) {
    await answer.discard();
    throw tooLong(String(announced));
  }
  const pieces: Uint8Array[] = [];
  let total = 0;
  for await (const piece of answer.body()) {
    total += piece.length;
    if (total > limitBytes) throw tooLong('more');
    pieces.push(piece);
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** A JSON body. @throws AttemptFailure `PROTOCOL` */
export async function readJson(answer: Answer, limitBytes: number): Promise<unknown> {
  const bytes = await readAll(answer, limitBytes);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The parser's message quotes the text; it is not passed on.
    throw failure(
      answer.operation,
      'PROTOCOL',
      `"body" of ${answer.operation.name} expected JSON, got ${bytes.length} bytes of something else`,
      { retry: false, fields: { status: answer.exchange.status } },
    );
  }
}

/** One request, its redirects if it is a GET, and the brake of each host on the way. */
async function send(
  context: HttpContext,
  operation: Operation,
  request: Pick<CasRequest, 'method' | 'body' | 'signal' | 'receiveTimeoutMs' | 'onProgress'> & {
    readonly sendTimeoutMs?: number;
  },
  headersFor: (url: URL) => Readonly<Record<string, string>>,
): Promise<Answer> {
  let current = operation;
  for (let redirects = 0; ; redirects++) {
    const { host } = current.url;
    await context.limiter.enter(host, request.signal);
    const answer = await exchange(context, {
      operation: current,
      method: request.method,
      headers: { accept: '*/*', ...context.commonHeaders, ...headersFor(current.url) },
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.onProgress === undefined ? {} : { onProgress: request.onProgress }),
      ...(request.sendTimeoutMs === undefined ? {} : { sendTimeoutMs: request.sendTimeoutMs }),
      ...(request.receiveTimeoutMs === undefined
        ? {}
        : { receiveTimeoutMs: request.receiveTimeoutMs }),
      signal: request.signal,
      stallTimeoutMs: context.stallTimeoutMs,
      answerTimeoutMs: context.answerTimeoutMs,
    });
    context.reachedHosts.add(host);
    if (answer.status !== 429) context.limiter.succeeded(host);
    const location = request.method === 'GET' ? redirectTarget(answer) : null;
    if (location === null || redirects === MAX_REDIRECTS) {
      await refuseEncoding(current, answer);
      return { operation: current, exchange: answer };
    }
    await answer.discard();
    current = { name: operation.name, url: await context.policy.check(location, current.url) };
  }
}

function stalledWhileSending(exception: unknown): boolean {
  if (!(exception instanceof AttemptFailure)) return false;
  const { code, fields } = exception.error;
  return code === 'STALLED' && fields['phase'] === 'sending' && fields['sentBytes'] !== 0;
}

function redirectTarget(answer: Exchange): string | null {
  return [301, 302, 303, 307, 308].includes(answer.status) ? answer.header('location') : null;
}

/** We ask for no encoding; ranges and lengths would mean something else. */
async function refuseEncoding(operation: Operation, answer: Exchange): Promise<void> {
  const encoding = answer.header('content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding === 'identity' || answer.status >= 300) return;
  await answer.discard();
  throw failure(
    operation,
    'PROTOCOL',
    `"content-encoding" of ${operation.name} expected none, got an encoding that was not asked for`,
    { retry: false },
  );
}

async function readToken(context: HttpContext, operation: Operation): Promise<string>;
async function readToken(
  context: HttpContext,
  operation: Operation,
  refused: string,
): Promise<string | null>;
async function readToken(
  context: HttpContext,
  operation: Operation,
  refused?: string,
): Promise<string | null> {
  try {
    return refused === undefined
      ? await context.tokens.current()
      : await context.tokens.after(refused);
  } catch (exception) {
    if (isOrbweaverError(exception)) {
      throw new AttemptFailure(exception, { retry: exception.retryable });
    }
    const text = exception instanceof Error ? context.masker.mask(exception.message) : 'unknown';
    throw failure(
      operation,
      'AUTH_REQUIRED',
      `"token" expected from its source, got an error: ${text}`,
      { retry: false },
    );
  }
}
