import type { TokenScope } from './ports.js';

/**
 * What an endpoint does, and which scopes allow it:
 *
 *   | need   | what                                               | read | append | write | admin |
 *   |--------|----------------------------------------------------|------|--------|-------|-------|
 *   | ask    | whether something is stored; dedup queries          | yes  | yes    | yes   | yes   |
 *   | read   | terms and URLs: gives content back                  | yes  | no     | yes   | yes   |
 *   | append | adds xorbs, shards and files                        | no   | yes    | yes   | yes   |
 *   | write  | changes or removes what others may rely on          | no   | no     | yes   | yes   |
 *   | admin  | concerns the server and not the data of one tenant  | no   | no     | no    | yes   |
 */
export type RouteNeed = 'ask' | 'read' | 'append' | 'write' | 'admin';

/** All scopes, from least to most. */
export const TOKEN_SCOPES: readonly TokenScope[] = ['read', 'append', 'write', 'admin'];

const ALLOWED: Readonly<Record<TokenScope, readonly RouteNeed[]>> = {
  read: ['ask', 'read'],
  append: ['ask', 'append'],
  write: ['ask', 'read', 'append', 'write'],
  admin: ['ask', 'read', 'append', 'write', 'admin'],
};

export function isTokenScope(value: unknown): value is TokenScope {
  return typeof value === 'string' && Object.hasOwn(ALLOWED, value);
}

/** Whether a principal of `scope` may use an endpoint that needs `need`. */
export function allows(scope: TokenScope, need: RouteNeed): boolean {
  return ALLOWED[scope].includes(need);
}

/** Whether `scope` allows everything that `other` allows. */
export function includesScope(scope: TokenScope, other: TokenScope): boolean {
  return ALLOWED[other].every((need) => allows(scope, need));
}

/** Scopes that would do, for the message of a 403. */
export function scopesFor(need: RouteNeed): string {
  return TOKEN_SCOPES.filter((scope) => allows(scope, need)).join(' or ');
}
