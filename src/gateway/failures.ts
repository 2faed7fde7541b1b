import {
  ERROR_CODES,
  type ErrorCode,
  type ErrorFields,
  isOrbweaverError,
  OrbweaverError,
} from '../errors.js';

/**
 * From errors to statuses. A failure that the gateway means for the client is made by
 * {@link failure}: it carries its status, and its message goes out. Any other error is a fault of
 * ours or of the store: its code and the table's sentence go out, its message (which may name paths
 * of this machine) does not.
 */

/** An error that ends the request with `status`; the message is shown to the client. */
export function failure(
  status: number,
  code: ErrorCode,
  message: string,
  cause?: unknown,
  fields: ErrorFields = {},
): OrbweaverError {
  return new OrbweaverError(code, message, { ...fields, status }, cause);
}

/** The client sent bytes that break a rule: 400 with the sentence that says which. */
export function rejected(message: string, cause?: unknown): OrbweaverError {
  return failure(400, 'REJECTED', message, cause);
}

/**
 * The status of damaged or lost data. No client repeats a request that got 410, and none takes it
 * for an endpoint that is not offered, as they do with 404: the same request has the same response
 * until somebody uploads the content again.
 */
export const DAMAGED_STATUS = 410;

/** What the store holds under a hash is not what the gateway put there. */
export function damaged(what: string, cause?: unknown): OrbweaverError {
  const message = `the store holds damaged data: ${what}; uploading the content again repairs it`;
  return failure(DAMAGED_STATUS, 'INTEGRITY', message, cause, { stored: true });
}

/** True for what {@link damaged} made. */
export function isDamage(error: unknown): error is OrbweaverError {
  return isOrbweaverError(error) && error.fields['stored'] === true;
}

const STATUS_OF_CODE: Partial<Record<ErrorCode, number>> = {
  AUTH_REQUIRED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  HASH_INVALID: 400,
  RANGE_INVALID: 416,
  REJECTED: 400,
  RATE_LIMITED: 503,
  CLOSED: 503,
  QUOTA_EXCEEDED: 413,
  DISK_FULL: 507,
};

/** The HTTP status for any thrown value. */
export function statusOf(error: unknown): number {
  if (!isOrbweaverError(error)) return 500;
  const status = error.fields['status'];
  return typeof status === 'number' ? status : (STATUS_OF_CODE[error.code] ?? 500);
}

/** What the client is told: a code and one sentence. */
export function publicError(error: unknown): { code: ErrorCode; message: string } {
  if (!isOrbweaverError(error)) return { code: 'INTERNAL', message: ERROR_CODES.INTERNAL.sentence };
  const shown = typeof error.fields['status'] === 'number' || statusOf(error) < 500;
  return { code: error.code, message: shown ? error.message : ERROR_CODES[error.code].sentence };
}

/** True when the same request may succeed later: our side failed, and not for lack of space. */
export function isRetryable(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 507);
}

/** True for what an operator should hear of: our side failed. Being busy or closing is no fault. */
export function isFault(error: unknown): boolean {
  const status = statusOf(error);
  return isDamage(error) || (status >= 500 && status !== 503);
}
