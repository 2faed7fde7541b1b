import { type ErrorCode, isOrbweaverError } from '../errors.js';

/** Failures of a server or of the way to it, not of the data or the disk. */
const STORE_DOWN: readonly ErrorCode[] = [
  ...(['NETWORK', 'STALLED', 'SERVER_ERROR', 'RATE_LIMITED', 'PROTOCOL'] as const),
];

/** What a store says of data or of its sender that it will not take. */
const STORE_REFUSES: readonly ErrorCode[] = ['REJECTED', 'FORBIDDEN', 'AUTH_REQUIRED', 'NOT_FOUND'];

/** A store that gives nothing, for now. */
export function isStoreDown(error: unknown): boolean {
  return isOrbweaverError(error) && STORE_DOWN.includes(error.code);
}

/** A store that takes nothing: it is down, its disk is full, or it refuses what the Hub has sent it. */
export function takesNothing(error: unknown): boolean {
  if (!isOrbweaverError(error)) return false;
  const { code, fields } = error;
  // The disk of this machine says no status.
  const isItsDisk = code === 'DISK_FULL' && fields['status'] !== undefined;
  return isStoreDown(error) || STORE_REFUSES.includes(code) || isItsDisk;
}
