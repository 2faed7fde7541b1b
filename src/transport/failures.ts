import { type ErrorCode, type ErrorFields, isOrbweaverError, OrbweaverError } from '../errors.js';
import { type Masker, maskUrl } from './mask.js';
import {
  codeOfStatus,
  isTransient,
  isUnreached,
  isUntrusted,
  PROXY_REFUSED_CODE,
  verdictOfStatus,
} from './retry-table.js';

/** A failed attempt: the error to report if it was the last one, and whether it should be. */
export class AttemptFailure extends Error {
  readonly error: OrbweaverError;
  readonly retry: boolean;
  /** HTTP status, or null when there was no response. */
  readonly status: number | null;
  /** What the server asked to wait. */
  readonly pauseMs: number | null;
  /** The host was not reached in this attempt. */
  readonly unreached: boolean;

  constructor(
    error: OrbweaverError,
    facts: {
      readonly retry: boolean;
      readonly status?: number | null;
      readonly pauseMs?: number | null;
      readonly unreached?: boolean;
    },
  ) {
    super(error.message);
    this.error = error;
    this.retry = facts.retry;
    this.status = facts.status ?? null;
    this.pauseMs = facts.pauseMs ?? null;
    this.unreached = facts.unreached ?? false;
  }
}

/** What was being done, for messages: `GET /v1/chunks` at a URL. */
export interface Operation {
  readonly name: string;
  readonly url: URL;
}

/** Characters of an error body that are kept. */
export const ERROR_BODY_LENGTH = 1024;
const MESSAGE_BODY_LENGTH = 160;

/** The failure that a response with a wrong status is. `bodyText` is raw; it is masked here. */
export function failureOfStatus(
  operation: Operation,
  response: {
    readonly status: number;
    readonly requestId: string | null;
    readonly bodyText: string;
    readonly pauseMs: number | null;
    readonly fields?: ErrorFields;
    readonly retry?: boolean;
  },
  masker: Masker,
): AttemptFailure {
  const { status, pauseMs } = response;
  const body = printable(masker.maskCut(response.bodyText, ERROR_BODY_LENGTH));
  const line = body.replace(/\s+/g, ' ').trim();
  const said = line.length > MESSAGE_BODY_LENGTH ? `${line.slice(0, MESSAGE_BODY_LENGTH)}…` : line;
  const error = new OrbweaverError(
    isQuota(status, line) ? 'QUOTA_EXCEEDED' : codeOfStatus(status),
    `"status" of ${operation.name} at ${operation.url.host} expected success, got ${status}` +
      (said === '' ? '' : `: ${said}`),
    {
      ...place(operation),
      status,
      requestId: response.requestId === null ? null : printable(masker.mask(response.requestId)),
      body: body === '' ? null : body,
      ...(pauseMs === null ? {} : { retryAfterMs: pauseMs }),
      ...response.fields,
    },
  );
  return new AttemptFailure(error, {
    retry: response.retry ?? verdictOfStatus(status) === 'retry',
    status,
    pauseMs,
  });
}

/** 413 is what is too large, and, of servers that say so, what has no room left. */
function isQuota(status: number, body: string): boolean {
  return status === 413 && /"code": ?"QUOTA_EXCEEDED"/.test(body);
}

/** The failure that an exception of the connection is. */
export function failureOfException(
  operation: Operation,
  exception: unknown,
  masker: Masker,
  fields: ErrorFields = {},
): AttemptFailure {
  if (exception instanceof AttemptFailure) return exception;
  const known = findOrbweaverError(exception);
  if (known !== null) return new AttemptFailure(known, { retry: known.retryable });
  const systemCode = systemCodeOf(exception);
  if (operation.url.protocol === 'https:' && isPlainText(exception, systemCode)) {
    const what = `${operation.name} expected TLS, but ${operation.url.host} speaks http, not https`;
    return failure(operation, 'PROTOCOL', what, {
      retry: false,
      fields: { systemCode, ...fields },
    });
  }
  const text = printable(masker.mask(exception instanceof Error ? exception.message : 'unknown'));
  const retry = isTransient(systemCode);
  const error = new OrbweaverError(
    systemCode.startsWith('HPE_') && !retry ? 'PROTOCOL' : 'NETWORK',
    `${operation.name} at ${operation.url.host} expected a response, got ` +
      `${systemCode === '' ? 'an error' : systemCode}${text === '' ? '' : `: ${text}`}`,
    {
      ...place(operation),
      systemCode: systemCode === '' ? null : systemCode,
      ...(isUntrusted(systemCode) ? { hint: UNTRUSTED_HINT } : {}),
      ...(systemCode === PROXY_REFUSED_CODE ? { hint: PROXY_HINT } : {}),
      ...fields,
    },
    maskedCause(text, systemCode),
  );
  return new AttemptFailure(error, { retry, unreached: isUnreached(systemCode) });
}

/** What to do when nobody who is trusted vouches for a server, or for a proxy that opens TLS. */
const UNTRUSTED_HINT =
  'If that is a private authority, trust it: its certificate (PEM) in --ca FILE ("ca"), in SSL_CERT_FILE for the command line, or in NODE_EXTRA_CA_CERTS.';
const PROXY_HINT =
  'Ask whoever runs the proxy, or leave it out for this host: --proxy none, NO_PROXY. A name and password belong into its URL.';

/** A failure with a code of its own. */
export function failure(
  operation: Operation,
  code: ErrorCode,
  message: string,
  options: { readonly retry: boolean; readonly fields?: ErrorFields },
): AttemptFailure {
  return new AttemptFailure(
    new OrbweaverError(code, message, { ...place(operation), ...options.fields }),
    { retry: options.retry },
  );
}

function place(operation: Operation): ErrorFields {
  return {
    operation: operation.name,
    host: operation.url.host,
    url: maskUrl(operation.url),
  };
}

/** Errors of ours that travelled through the connection (a refused address). */
function findOrbweaverError(exception: unknown): OrbweaverError | null {
  if (isOrbweaverError(exception)) return exception;
  if (exception instanceof AggregateError) {
    for (const inner of exception.errors) if (isOrbweaverError(inner)) return inner;
  }
  return exception instanceof Error && isOrbweaverError(exception.cause) ? exception.cause : null;
}

function systemCodeOf(exception: unknown): string {
  for (let at = exception, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    // The parser of undici does not always know a code for what it refused.
    if (at.name === 'HTTPParserError') return 'HPE_INVALID';
  }
  return '';
}

/** OpenSSL's ways to say that what came is no TLS at all. */
function isPlainText(exception: unknown, systemCode: string): boolean {
  const text = `${systemCode} ${exception instanceof Error ? exception.message : ''}`;
  return /wrong.version.number|packet.length.too.long|http.request/i.test(text);
}

/** The original is not attached: its properties may hold URLs and headers. */
function maskedCause(message: string, systemCode: string): Error {
  return Object.assign(new Error(message), systemCode === '' ? {} : { code: systemCode });
}

/** Without control characters: error texts end up on terminals. */
function printable(text: string): string {
  let clean = '';
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const control = (code < 32 && code !== 10 && code !== 9) || (code >= 127 && code < 160);
    clean += control ? ' ' : character;
  }
  return clean;
}
