import type { MerkleHash } from '../hash/index.js';
import { answerFailure, createCallState, type HttpContext, readAll, sendToCas } from './http.js';
import { abortedError, throwIfAborted } from './sleep.js';

/**
 * The global dedup query. Deduplication is an optimisation: whatever goes wrong here is a miss, is
 * over soon, and is not asked for over and over.
 */

/** Answers are keyed shards of at most 16 MiB; a little more for servers that count differently. */
const MAX_ANSWER_BYTES = 17 * 1024 * 1024;
/** Failures in a row until nothing is asked for a while. */
const FAILURES_UNTIL_QUIET = 3;
const FIRST_QUIET_MS = 30_000;
const LONGEST_QUIET_MS = 600_000;

export type DedupQuery = (chunk: MerkleHash, signal?: AbortSignal) => Promise<Uint8Array | null>;

export function createDedupQuery(context: HttpContext, timeoutMs: number): DedupQuery {
  let failuresInRow = 0;
  let quietMs = FIRST_QUIET_MS;
  let quietUntil = 0;

  const succeeded = (): void => {
    failuresInRow = 0;
    quietMs = FIRST_QUIET_MS;
  };
  const failed = (): void => {
    failuresInRow++;
    if (failuresInRow < FAILURES_UNTIL_QUIET) return;
    // After the pause one more failure is enough to be quiet again, for longer.
    failuresInRow = FAILURES_UNTIL_QUIET - 1;
    quietUntil = context.clock.now() + quietMs;
    quietMs = Math.min(quietMs * 2, LONGEST_QUIET_MS);
  };

  /** The answer, or null for a miss. Throws for everything else. */
  const ask = async (chunk: MerkleHash, signal: AbortSignal): Promise<Uint8Array | null> => {
    const answer = await sendToCas(
      context,
      {
        method: 'GET',
        path: `v1/chunks/default-merkledb/${chunk}`,
        label: 'v1/chunks',
        signal,
      },
      createCallState(),
    );
    if (answer.exchange.status === 404) {
      await answer.exchange.discard();
      return null;
    }
    if (answer.exchange.status === 200) return readAll(answer, MAX_ANSWER_BYTES);
    const refusal = await answerFailure(context, answer);
    if (refusal.status === 429) {
      context.limiter.limited(answer.operation.url.host, refusal.pauseMs);
    }
    throw refusal;
  };

  return async (chunk, signal) => {
    throwIfAborted(signal);
    if (context.clock.now() < quietUntil) return null;
    const limit = new AbortController();
    const stop = (): void => limit.abort();
    const cancelTimer = context.clock.setTimer(timeoutMs, stop);
    signal?.addEventListener('abort', stop, { once: true });
    try {
      const shard = await ask(chunk, limit.signal);
      succeeded();
      return shard;
    } catch {
      if (signal?.aborted === true) throw abortedError(signal);
      failed();
      return null;
    } finally {
      cancelTimer();
      signal?.removeEventListener('abort', stop);
    }
  };
}
