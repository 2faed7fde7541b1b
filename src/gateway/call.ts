import { MerkleHash } from '../hash/index.js';
import type { HttpRequest, HttpResponse } from '../http/index.js';
import { failure, rejected } from './failures.js';
import type { Principal } from './ports.js';
import type { RouteMatch } from './router.js';

/** One request on its way through the gateway. */
export interface Call {
  /** Its body is read under the rules of the route from `budget` on. */
  readonly request: HttpRequest;
  /** Names this request in the response and in what is reported about it. */
  readonly requestId: string;
  /** Below the prefix under which the gateway is mounted. */
  readonly path: string;
  readonly match: RouteMatch;
  /** Start of the URLs this response may name, without a slash at the end. */
  readonly baseUrl: string;
  /** Its client sends requests of its own: it may be given URLs of the store, where that signs some. */
  readonly isOutside: boolean;
  /** Null before `auth`, and for routes that ask nobody. */
  readonly principal: Principal | null;
  /**
   * Who asked and whose data it is about, for the steps around those that find out. `tenant` is null for
   * those who name none, and undefined until it is known.
   */
  readonly seen: { principalId: string | null; tenant?: string | null };
}

/** Carries a call out. */
export type Handler = (call: Call) => Promise<HttpResponse>;

/** The hash in path parameter `name`: exactly 64 digits, nothing encoded. 400 otherwise. */
export function hashParam(call: Call, name: string): MerkleHash {
  try {
    return MerkleHash.parse(paramOf(call, name));
  } catch (cause) {
    throw failure(400, 'HASH_INVALID', `"${name}" expected a hash of 64 hexadecimal digits`, cause);
  }
}

/** Path parameter `name` as it was sent; empty when the path has none of that name. */
export function paramOf({ match }: Call, name: string): string {
  return match.kind === 'route' ? (match.params.get(name) ?? '') : '';
}

const PREFIX = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Checks the namespace segment in front of a hash. `default` and `default-merkledb` are in use;
 * all name the same objects here, because content has one address.
 */
export function checkPrefix(call: Call): void {
  if (!PREFIX.test(paramOf(call, 'prefix'))) {
    throw rejected('"prefix" expected 1 to 64 letters, digits, dots, dashes or underscores');
  }
}
