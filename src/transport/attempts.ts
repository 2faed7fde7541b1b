import { OrbweaverError } from '../errors.js';
import { AttemptFailure } from './failures.js';
import type { HostLimiter } from './host-limiter.js';
import type { RandomSource, RetryEvent, TransportClock } from './ports.js';
import { backoffMs, RETRIES_NEVER_REACHED, type RetryOptions } from './retry-table.js';
import { sleep } from './sleep.js';

/** What trying again needs from its client. */
export interface RetryPorts {
  readonly clock: TransportClock;
  readonly random: RandomSource;
  readonly limiter: HostLimiter;
  readonly retry: RetryOptions;
  /** Hosts that have answered at least once. */
  readonly reachedHosts: ReadonlySet<string>;
  readonly onRetry: ((event: RetryEvent) => void) | undefined;
}

/** The attempts of one call: counts them, waits between them, and says when it is enough. */
export interface RetryBudget {
  /**
   * Waits until the next attempt may start.
   * @throws OrbweaverError the error of the failure when there is no next attempt, or `ABORTED`
   */
  next(failure: AttemptFailure): Promise<void>;
  /** Bytes arrived that will not be asked for again: the count starts anew. */
  progress(): void;
}

/** Extra wait after a pause the server asked for, so that its clients do not return as one. */
const SPREAD_MS = 500;

export function createRetryBudget(
  ports: RetryPorts,
  call: { readonly name: string; readonly host: string; readonly signal?: AbortSignal | undefined },
): RetryBudget {
  let attempts = 0;
  let used = 0;
  return {
    progress() {
      used = 0;
    },
    async next(failure) {
      attempts++;
      const { pauseMs } = failure;
      if (failure.status === 429) ports.limiter.limited(call.host, pauseMs);
      const stranger = failure.unreached && !ports.reachedHosts.has(call.host);
      const retries = stranger
        ? Math.min(ports.retry.retries, RETRIES_NEVER_REACHED)
        : ports.retry.retries;
      const tooLong = pauseMs !== null && pauseMs > ports.retry.maxRetryAfterMs;
      if (!failure.retry || tooLong || used >= retries) throw withAttempts(failure.error, attempts);
      const delayMs =
        pauseMs === null
          ? backoffMs(used, ports.random, ports.retry)
          : pauseMs + Math.floor(ports.random() * SPREAD_MS);
      used++;
      ports.onRetry?.({
        operation: call.name,
        attempt: attempts,
        code: failure.error.code,
        status: failure.status,
        delayMs,
      });
      await sleep(ports.clock, delayMs, call.signal);
    },
  };
}

/** Runs `attempt` until it succeeds or the budget is used up. */
export async function withRetries<T>(
  ports: RetryPorts,
  call: { readonly name: string; readonly host: string; readonly signal?: AbortSignal | undefined },
  attempt: () => Promise<T>,
): Promise<T> {
  const budget = createRetryBudget(ports, call);
  for (;;) {
    try {
      return await attempt();
    } catch (exception) {
      if (!(exception instanceof AttemptFailure)) throw exception;
      await budget.next(exception);
    }
  }
}

function withAttempts(error: OrbweaverError, attempts: number): OrbweaverError {
  const fields = { ...error.fields, attempts };
  return new OrbweaverError(error.code, error.message, fields, error.cause);
}
