import { MerkleHash } from '../hash/index.js';
import { failure, rejected } from './failures.js';
import type { GatewayRequest } from './ports.js';

/** One request on its way through a route. */
export interface Call {
  readonly request: GatewayRequest;
  /** Names this request in the answer and in what is reported about it. */
  readonly requestId: string;
  readonly params: ReadonlyMap<string, string>;
  /** Start of the URLs this answer may name, without a slash at the end. */
  readonly baseUrl: string;
}

/** The hash in path parameter `name`: exactly 64 digits, nothing encoded. 400 otherwise. */
export function hashParam(call: Call, name: string): MerkleHash {
  try {
    return MerkleHash.parse(call.params.get(name) ?? '');
  } catch (cause) {
    throw failure(400, 'HASH_INVALID', `"${name}" expected a hash of 64 hexadecimal digits`, cause);
  }
}

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Checks the namespace segment in front of a hash. `default` and `default-merkledb` are in use;
 * all name the same objects here, because content has one address.
 */
export function checkPrefix(call: Call): void {
  if (!PREFIX.test(call.params.get('prefix') ?? '')) {
    throw rejected('"prefix" expected 1 to 64 letters, digits, dots, dashes or underscores');
  }
}
