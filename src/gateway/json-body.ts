import { MerkleHash } from '../hash/index.js';
import { holdBody } from './body.js';
import type { Call } from './call.js';
import { failure, rejected } from './failures.js';
import type { GatewayServices } from './services.js';

/** The JSON of a small body, while `use` makes something of it. 400 for anything else. */
export function withJsonBody<T>(
  services: GatewayServices,
  call: Call,
  use: (json: unknown) => T,
): Promise<T> {
  return withSmallBody(services, call, (bytes) => use(parseJson(bytes)));
}

/** The bytes of a small body, borrowed for the call of `use`. */
export async function withSmallBody<T>(
  services: GatewayServices,
  { request }: Call,
  use: (bytes: Uint8Array) => T,
): Promise<T> {
  const account = services.memory.small.open(request.signal);
  const body = await holdBody(request.body, account, services.buffers);
  try {
    return use(body.bytes);
  } finally {
    body.release();
  }
}

/** A hash in a body or a query. 400 for anything else. */
export function parseId(text: string): MerkleHash {
  try {
    return MerkleHash.parse(text);
  } catch (cause) {
    throw failure(400, 'HASH_INVALID', '"hash" expected 64 hexadecimal digits', cause);
  }
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw rejected('the body expected JSON', cause);
  }
}
