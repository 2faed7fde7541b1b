import { isOrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { drain } from '../http/index.js';
import { type Context, casCall, sendToCas } from './context.js';
import { AttemptFailure } from './failures.js';

/** What `HEAD` said: a 200, anything else, or nothing in time. */
export type Stored = 'stored' | 'alive' | 'out of reach';

/** Limit of one question; with the default stall timeout, silence costs an upload 45 s in all. */
export const HEAD_TIMEOUT_MS = 15_000;

/**
 * Asks once with `HEAD` whether the object at this path below the endpoint is stored.
 * @throws what is no failure of the attempt: a token source's error, a mistake
 */
export async function headOf(
  context: Context,
  { path, label, scope }: { readonly path: string; readonly label: string; readonly scope: Scope },
): Promise<Stored> {
  const limited = scope.child();
  limited.after(HEAD_TIMEOUT_MS, () => limited.close());
  try {
    const call = casCall(context, { method: 'HEAD', path, label, scope: limited, ownPauses: true });
    const { response } = await sendToCas(context, call);
    await drain(response.body);
    return response.status === 200 ? 'stored' : 'alive';
  } catch (exception) {
    if (exception instanceof AttemptFailure || limited.ended) return 'out of reach';
    throw exception;
  } finally {
    limited.close();
  }
}

/**
 * `HEAD /v1/xorbs/default/{xorb}`: whether a xorb is stored, so that it need not be sent. Sending is
 * always right, so whatever goes wrong is a no, at once and without a retry, within
 * {@link HEAD_TIMEOUT_MS} (15 s).
 *
 * @throws OrbweaverError the reason of the scope; a mistake of this program
 */
export async function hasXorb(context: Context, xorb: MerkleHash, scope: Scope): Promise<boolean> {
  scope.check();
  try {
    const path = `v1/xorbs/default/${xorb}`;
    const found = await headOf(context, { path, label: 'v1/xorbs', scope });
    scope.check();
    return found === 'stored';
  } catch (exception) {
    scope.check();
    if (!isOrbweaverError(exception)) throw exception;
    return false;
  }
}
