import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { RandomSource } from '../platform/index.js';
import type { Call } from './call.js';
import { AttemptFailure } from './failures.js';
import type { RetryEvent } from './ports.js';
import { backoffMs, RETRIES_NEVER_REACHED, type RetryOptions } from './retry-table.js';

/** What trying again needs from its client. */
export interface RetryPorts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly retry: RetryOptions;
  /** Hosts that have responded at least once. */
  readonly reachedHosts: ReadonlySet<string>;
  readonly onRetry: ((event: RetryEvent) => void) | undefined;
}

/** The attempts of one call: counts them, waits between them, and says when it is enough. */
export interface Attempts {
  /**
   * Waits until the next attempt may start.
   * @throws OrbweaverError the error of the failure when there is no next attempt; the scope's reason
   */
  next(failure: AttemptFailure): Promise<void>;
  /** Enough arrived that will not be asked for again: the count starts anew. */
  progress(): void;
}

/** Extra wait after a pause the server asked for, so that its clients do not return as one. */
const SPREAD_MS = 500;

export function createAttempts(ports: RetryPorts, call: Call): Attempts {
  let attempts = 0;
  let used = 0;
  return {
    progress() {
      used = 0;
    },
    async next(failure) {
      attempts++;
      const { retry } = ports;
      const { pauseMs } = failure;
      const stranger = failure.unreached && !ports.reachedHosts.has(call.url.host);
      const retries = stranger ? Math.min(retry.retries, RETRIES_NEVER_REACHED) : retry.retries;
      const tooLong = pauseMs !== null && pauseMs > retry.maxRetryAfterMs;
      if (!failure.retry || tooLong || used >= retries) throw withAttempts(failure.error, attempts);
      const delayMs =
        pauseMs === null
          ? backoffMs(used, ports.random, retry)
          : pauseMs + Math.floor(ports.random() * SPREAD_MS);
      used++;
      ports.onRetry?.({
        operation: call.name,
        attempt: attempts,
        code: failure.error.code,
        message: failure.error.message,
        status: failure.status,
        delayMs,
      });
      await call.scope.sleep(delayMs);
    },
  };
}

/** Runs `attempt`, reading of the body included, until it succeeds or it is enough. */
export async function withRetries<T>(
  ports: RetryPorts,
  call: Call,
  attempt: () => Promise<T>,
): Promise<T> {
  const attempts = createAttempts(ports, call);
  for (;;) {
    try {
      call.scope.check();
      return await attempt();
    } catch (exception) {
      await attempts.next(asFailure(exception));
    }
  }
}

/** @throws the exception when it is not the failure of an attempt */
export function asFailure(exception: unknown): AttemptFailure {
  if (exception instanceof AttemptFailure) return exception;
  // A reader of ours refused the bytes: the response is broken, not the connection.
  if (isOrbweaverError(exception) && exception.code === 'PROTOCOL') {
    return new AttemptFailure(exception, { retry: false });
  }
  throw exception;
}

function withAttempts(error: OrbweaverError, attempts: number): OrbweaverError {
  const fields = { ...error.fields, attempts };
  return new OrbweaverError(error.code, error.message, fields, error.cause);
}
