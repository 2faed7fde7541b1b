import { isOrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import type { Body } from '../http/index.js';
import { rejected } from './failures.js';
import type { VerifiedXorb, XorbReceiver } from './ports.js';

/** What verifying a xorb says about it, and about the verifier. */

/** Codes by which a verifier says that the bytes are at fault; all others are faults of ours. */
const BYTES_AT_FAULT: ReadonlySet<string> = new Set([
  'TRUNCATED',
  'FORMAT_INVALID',
  'LIMIT_EXCEEDED',
  'UNSUPPORTED',
  'CHECKSUM_MISMATCH',
  'INTEGRITY',
  'SIZE_MISMATCH',
]);

/** True when the bytes of the xorb are at fault. */
export function isBytesFault(error: unknown): boolean {
  return isOrbweaverError(error) && BYTES_AT_FAULT.has(error.code);
}

/** Errors that have a status already, such as that of a body above its limit, pass. */
export function asRejection(error: unknown): unknown {
  if (!isOrbweaverError(error) || typeof error.fields['status'] === 'number') return error;
  return isBytesFault(error) ? rejected(`xorb: ${error.message}`, error) : error;
}

/** The name is what everything else relies on: it is compared here whatever the verifier did. */
export function checkName(verified: VerifiedXorb, hash: MerkleHash): void {
  if (verified.hash.equals(hash)) return;
  throw rejected(`xorb: "xorb hash" expected ${hash}, got ${verified.hash}`);
}

/** Runs `body` through a receiver and drops what it gives back. */
export async function verifyReceived(
  receiver: XorbReceiver,
  body: Pick<Body, 'fill'>,
): Promise<VerifiedXorb> {
  const received = receiver.receive(body);
  for (;;) {
    const step = await received.next();
    if (step.done === true) return step.value;
  }
}
