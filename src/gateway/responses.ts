import { publicError, statusOf } from './failures.js';

/** Answers that every route uses. Bodies are JSON; clients parse none of the error bodies. */

/** A JSON answer. */
export function jsonResponse(
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  });
}

/** An answer without a body. */
export function emptyResponse(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers });
}

/** The answer for a thrown value: `{"error": sentence, "code": code}`. */
export function errorResponse(error: unknown): Response {
  const status = statusOf(error);
  const { code, message } = publicError(error);
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '1';
  return jsonResponse({ error: message, code }, status, headers);
}
