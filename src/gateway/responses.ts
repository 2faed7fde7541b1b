import { isOrbweaverError } from '../errors.js';
import { bytesBody, type HttpHeaders, type HttpResponse } from '../http/index.js';
import { publicError, statusOf } from './failures.js';

/** Responses that every route uses. Bodies are JSON; clients parse none of the error bodies. */

/** JSON. */
export function jsonResponse(
  value: unknown,
  status = 200,
  headers: HttpHeaders = {},
): HttpResponse {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return bytesResponse(bytes, { 'content-type': 'application/json', ...headers }, status);
}

/** Bytes in memory. */
export function bytesResponse(bytes: Uint8Array, headers: HttpHeaders, status = 200): HttpResponse {
  return {
    status,
    headers: { ...headers, 'content-length': String(bytes.length) },
    body: bytesBody(bytes),
  };
}

/** No body. */
export function emptyResponse(status: number, headers: HttpHeaders = {}): HttpResponse {
  return { status, headers, body: null };
}

/** Seconds. */
function retryAfterOf(error: unknown): number {
  const seconds = isOrbweaverError(error) ? error.fields['retryAfterSeconds'] : 1;
  return typeof seconds === 'number' ? seconds : 1;
}

/** The response for a thrown value: `{"error": sentence, "code": code}`. */
export function errorResponse(error: unknown): HttpResponse {
  const status = statusOf(error);
  const { code, message } = publicError(error);
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '1';
  if (status === 429) headers['retry-after'] = String(retryAfterOf(error));
  // What is left of a body that does not come is not waited for.
  if (status === 408) headers['connection'] = 'close';
  return jsonResponse({ error: message, code }, status, headers);
}
