import { publicError, statusOf } from './failures.js';
import type { GatewayAnswer } from './ports.js';

/** Answers that every route uses. Bodies are JSON; clients parse none of the error bodies. */

/** A JSON answer. */
export function jsonAnswer(
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): GatewayAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: new TextEncoder().encode(JSON.stringify(value)),
  };
}

/** An answer without a body. */
export function emptyAnswer(status: number, headers: Record<string, string> = {}): GatewayAnswer {
  return { status, headers, body: null };
}

/** The answer for a thrown value: `{"error": sentence, "code": code}`. */
export function errorAnswer(error: unknown): GatewayAnswer {
  const status = statusOf(error);
  const { code, message } = publicError(error);
  const headers: Record<string, string> = {};
  if (status === 401) headers['www-authenticate'] = 'Bearer';
  if (status === 503) headers['retry-after'] = '1';
  return jsonAnswer({ error: message, code }, status, headers);
}
