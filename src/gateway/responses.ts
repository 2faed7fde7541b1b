import { isOrbweaverError } from '../errors.js';
import { bytesBody, type HttpHeaders, type HttpResponse, piecesBody } from '../http/index.js';
import { publicError, statusOf } from './failures.js';
import { pause } from './turns.js';

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

/** JSON of more entries than this is written while it is read. */
export const MANY_ENTRIES = 1024;

/** Characters that are written at once. */
const PIECE_CHARACTERS = 64 * 1024;

/**
 * JSON that may be long, as a sequence of texts. Of a short one the length is known; of a long one no more
 * is in memory than was asked for last, and others have their turn between two pieces.
 *
 * @param entryCount what it lists; decides which of the two it is
 */
export function jsonTextsResponse(
  entryCount: number,
  texts: () => Generator<string>,
): HttpResponse {
  const headers = { 'content-type': 'application/json' };
  const encoder = new TextEncoder();
  if (entryCount <= MANY_ENTRIES) {
    return bytesResponse(encoder.encode([...texts()].join('')), headers);
  }
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    let piece = '';
    for (const text of texts()) {
      piece += text;
      if (piece.length < PIECE_CHARACTERS) continue;
      yield encoder.encode(piece);
      piece = '';
      await pause();
    }
    yield encoder.encode(piece);
  };
  return { status: 200, headers, body: piecesBody(pieces()) };
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
