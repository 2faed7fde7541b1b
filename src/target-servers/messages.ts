import {
  type Body,
  type HttpHeaders,
  type HttpResponse,
  readAll,
  textBody,
} from '../http/index.js';

/** Small requests and responses of the test servers, and bodies that come from elsewhere. */

/** Bodies in JSON are small; a larger one is a mistake. */
const MAX_JSON_BYTES = 1024 * 1024;

/** A response in JSON. */
export function jsonResponse(
  status: number,
  value: unknown,
  headers: HttpHeaders = {},
): HttpResponse {
  const body = textBody(`${JSON.stringify(value)}\n`);
  return { status, headers: { 'content-type': 'application/json', ...headers }, body };
}

/** The body as JSON; undefined when it is none. */
export async function readJson(body: Body | null): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(await readAll(body, MAX_JSON_BYTES)));
  } catch {
    return undefined;
  }
}

/** A JSON object, or null for everything else. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return value as Record<string, unknown>;
}

/** Thrown by an exchange: the connection is cut, and the client never learns why. */
export class ConnectionCut extends Error {
  override readonly name = 'ConnectionCut';

  constructor() {
    super('the connection was cut');
  }
}
