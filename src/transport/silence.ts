import type { Scope } from '../flow/index.js';
import type { Call } from './call.js';
import type { Context } from './context.js';
import { AttemptFailure, failure } from './failures.js';
import { headOf } from './xorb-query.js';

/**
 * What to do when a server was sent a body and says nothing. It may be checking what it got, which
 * has been seen to take ten minutes, or the connection may be dead, which nothing on it tells. So
 * after the stall timeout another connection is asked (`HEAD` of what was sent):
 *
 *     it is stored           the request has done its work: success
 *     no response in time    the server is out of reach: the attempt is over, the next one follows
 *     any other response     the server lives. The first request goes on, and the body is sent once
 *                            more beside it, in case the first never arrived: what is sent is named
 *                            by its content, so twice is the same as once. Who is done first counts.
 *
 * Silence so costs at most the stall timeout and `HEAD_TIMEOUT_MS` (45 s) until something is done
 * about it. A server that lives is asked again after each stall timeout, until the response timeout.
 */
export interface SilenceOptions<T> {
  readonly call: Call;
  /** Sends the request and reads its response; tells when the body is with the connection. */
  readonly attempt: (scope: Scope, onAllSent: () => void) => Promise<T>;
  /** Path below the endpoint that is asked; a 200 there says that the request has done its work. */
  readonly probePath: string;
  readonly probeLabel: string;
  /** The result when the probe says that it is stored; null when a 200 there says nothing. */
  readonly stored: (() => T) | null;
}

export async function watchingSilence<T>(context: Context, options: SilenceOptions<T>): Promise<T> {
  const { call } = options;
  const scope = call.scope.child();
  try {
    return await new Promise<T>((resolve, reject) => {
      let runningCount = 0;
      let startedCount = 0;
      let stopTimer = (): void => {};

      const listen = (): void => {
        stopTimer();
        stopTimer = scope.after(context.stallTimeoutMs, () => {
          look().catch(reject);
        });
      };
      const start = (): void => {
        runningCount++;
        startedCount++;
        options.attempt(scope, listen).then(resolve, (error: unknown) => {
          runningCount--;
          if (runningCount === 0) reject(startedCount > 1 ? finalSilence(error) : error);
        });
      };
      const look = async (): Promise<void> => {
        const { probePath: path, probeLabel: label } = options;
        const found = await headOf(context, { path, label, scope });
        if (scope.ended) return;
        if (found === 'stored' && options.stored !== null) resolve(options.stored());
        else if (found === 'out of reach') reject(silent(call));
        else if (startedCount === 1) {
          tellRetry(context, call);
          start();
        } else listen();
      };
      start();
    });
  } finally {
    scope.close();
  }
}

function tellRetry({ onRetry }: Context, { name }: Call): void {
  const message = `${name} expected a response, got silence`;
  onRetry?.({ operation: name, attempt: 1, code: 'STALLED', message, status: null, delayMs: 0 });
}

/** A server that lives and says nothing to the end of the response timeout is not asked again. */
function finalSilence(error: unknown): unknown {
  const isSilence = error instanceof AttemptFailure && error.error.code === 'STALLED';
  return isSilence ? new AttemptFailure(error.error, { retry: false }) : error;
}

function silent(call: Call): AttemptFailure {
  const message = `${call.name} at ${call.url.host} expected a response in time, got none, and the host is out of reach`;
  return failure(call, 'STALLED', message, {
    retry: true,
    fields: { phase: 'waiting for the response' },
  });
}
