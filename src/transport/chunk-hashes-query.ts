import type { ByteRange } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { drain } from '../http/index.js';
import { type FileChunkHashes, parseFileChunkHashes } from '../plan/index.js';
import { type Context, casCall, readJson, sendToCas, statusFailure } from './context.js';
import { AttemptFailure } from './failures.js';
import { withRetries } from './retry.js';
import { headOf } from './xorb-query.js';

/** Subtrees have a few dozen nodes; a hundred thousand windows would still fit. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** How long a server that does not offer this is not asked again. */
const NOT_OFFERED_MS = 10 * 60 * 1000;
/** What servers take as one header, less what proxies add: ranges of 30 bytes and more. */
const MAX_HEADER_BYTES = 7 * 1024;

export type ChunkHashesQuery = (
  file: MerkleHash,
  dirty: readonly ByteRange[],
  scope: Scope,
) => Promise<FileChunkHashes | null>;

/**
 * `GET /v2/file-chunk-hashes/{file}`. A 404 may mean that the file or that the endpoint is missing: the
 * file is asked for with `HEAD`, and when it is there the endpoint is not asked again for ten minutes.
 */
export function createChunkHashesQuery(context: Context): ChunkHashesQuery {
  let offeredAgainMs = Number.NEGATIVE_INFINITY;

  return async (file, dirty, scope) => {
    const ranges = headerOf(dirty);
    if (context.clock.now() < offeredAgainMs) return null;
    const label = 'v2/file-chunk-hashes';
    const path = `${label}/${file}`;
    const call = casCall(context, { method: 'GET', path, label, scope });
    return withRetries(context, call, async () => {
      const received = await sendToCas(context, call, { headers: { 'x-range-dirty': ranges } });
      const { status, body } = received.response;
      if (status === 404 || status === 405 || status === 501) {
        await drain(body);
        const exists = { path: `v1/files/${file}`, label: 'v1/files', scope };
        if (status !== 404 || (await headOf(context, exists)) === 'stored') {
          offeredAgainMs = context.clock.now() + NOT_OFFERED_MS;
        }
        return null;
      }
      if (status !== 200) throw await statusFailure(context, received);
      return readJson(context, received, MAX_RESPONSE_BYTES, (json) => {
        try {
          return parseFileChunkHashes(json);
        } catch (exception) {
          if (!isOrbweaverError(exception)) throw exception;
          throw new AttemptFailure(exception, { retry: false, status });
        }
      });
    });
  };
}

/** @throws RangeError */
function headerOf(dirty: readonly ByteRange[]): string {
  if (dirty.length === 0) throw new RangeError('"dirty" expected at least one range, got none');
  for (const { start, end } of dirty) {
    if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end > start) {
      continue;
    }
    throw new RangeError(`"dirty" expected 0 <= start < end, got ${start}, ${end}`);
  }
  const text = `bytes=${dirty.map(({ start, end }) => `${start}-${end - 1}`).join(',')}`;
  if (text.length > MAX_HEADER_BYTES) {
    throw new RangeError(`"dirty" expected at most ${MAX_HEADER_BYTES} characters as a header`);
  }
  return text;
}
