import { type ErrorCode, isOrbweaverError } from '../../errors.js';

/** Which failures of one fetched range are worth another request. */

/** Codes that say "these bytes are wrong": the next copy of them may be right. */
const DATA_FAULTS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'TRUNCATED',
  'FORMAT_INVALID',
  'LIMIT_EXCEEDED',
  'UNSUPPORTED',
  'CHECKSUM_MISMATCH',
  'INTEGRITY',
  'SIZE_MISMATCH',
]);

export function isDataFault(error: unknown): boolean {
  return isOrbweaverError(error) && DATA_FAULTS.has(error.code);
}

/** A thread died over a task, and maybe its bytes with it; it says nothing about the data. */
export function isWorkerLoss(error: unknown): boolean {
  return isOrbweaverError(error) && error.code === 'WORKER_FAILED';
}

/** A signed URL whose time is over; `RangeReader.fill` says so. */
export function isExpiredUrl(error: unknown): boolean {
  return isOrbweaverError(error) && error.code === 'FORBIDDEN' && error.fields.expired === true;
}

/** A server that does not serve several ranges at once answers with something unexpected. */
export function isRangeRefusal(error: unknown): boolean {
  return isOrbweaverError(error) && (error.code === 'PROTOCOL' || error.code === 'REJECTED');
}
