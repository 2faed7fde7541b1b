import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { drain } from '../http/index.js';
import { type Context, casCall, sendToCas, statusFailure } from './context.js';
import { withRetries } from './retry.js';

/**
 * `HEAD /v1/files/{file}`: the size of a stored file. Null for 404 and whatever else is no size: the
 * server has no such file, or does not offer this.
 *
 * @throws OrbweaverError `AUTH_REQUIRED`, `NETWORK`…; the reason of the scope
 */
export function fileSize(context: Context, file: MerkleHash, scope: Scope): Promise<number | null> {
  const label = 'v1/files';
  const call = casCall(context, { method: 'HEAD', path: `${label}/${file}`, label, scope });
  return withRetries(context, call, async () => {
    const received = await sendToCas(context, call);
    const { status, headers, body } = received.response;
    const isMissing = status === 404 || status === 405 || status === 501;
    if (status !== 200 && !isMissing) throw await statusFailure(context, received);
    await drain(body);
    const text = headers['content-length'] ?? '';
    return status === 200 && /^\d{1,15}$/.test(text) ? Number(text) : null;
  });
}
