import { isRetryable, publicError, statusOf } from './failures.js';
import type { Clock } from './ports.js';

/**
 * The answer of POST /v2/shards: one JSON object per line while the work goes on, the last progress
 * line again when nothing happens for a while (so that read timeouts of clients work as usual), and
 * one terminal line. A failure is a line too: the status went out long before.
 */

/** Lines before the terminal one. */
export type ProgressLine =
  | { readonly type: 'validating'; readonly verified: number; readonly total: number }
  | { readonly type: 'committing'; readonly stage: 'uploading' | 'syncing' };

/** Validating lines come no closer than this; a client draws a bar with them. */
const MIN_LINE_INTERVAL_MS = 200;

/**
 * Runs `work` and streams what it tells. `work` resolves with the fields of the result line. A
 * reader that goes away fires the signal given to `work`, and the rest is said to nobody.
 */
export function progressStream(options: {
  clock: Clock;
  heartbeatMs: number;
  work: (
    tell: (line: ProgressLine) => void,
    signal: AbortSignal,
  ) => Promise<Readonly<Record<string, unknown>>>;
  onError: (error: unknown) => void;
}): { stream: ReadableStream<Uint8Array>; finished: Promise<void> } {
  const { clock, heartbeatMs } = options;
  const encoder = new TextEncoder();
  const gone = new AbortController();
  let finished: Promise<void> = Promise.resolve();

  const stream = new ReadableStream<Uint8Array>({
    start(controller): void {
      let last: ProgressLine | null = null;
      let lastMs = Number.NEGATIVE_INFINITY;
      let stopTimer = (): void => undefined;

      const write = (line: object): void => {
        stopTimer();
        if (!gone.signal.aborted) {
          controller.enqueue(encoder.encode(`${JSON.stringify(line)}\n`));
        }
      };
      const repeat = (): void => {
        if (last !== null) write(last);
        stopTimer = clock.setTimer(heartbeatMs, repeat);
      };
      const tell = (line: ProgressLine): void => {
        const complete = line.type === 'validating' && line.verified === line.total;
        const isStep = last?.type !== line.type || line.type === 'committing' || complete;
        last = line;
        const nowMs = clock.nowMs();
        if (!isStep && nowMs - lastMs < MIN_LINE_INTERVAL_MS) return;
        lastMs = nowMs;
        repeat();
      };
      const end = (line: object): void => {
        write(line);
        if (!gone.signal.aborted) controller.close();
      };

      finished = options.work(tell, gone.signal).then(
        (fields) => end({ type: 'result', ...fields }),
        (error) => {
          options.onError(error);
          const { message } = publicError(error);
          end({ type: 'error', message, retryable: isRetryable(statusOf(error)) });
        },
      );
    },
    cancel(): void {
      gone.abort();
    },
  });
  return { stream, finished };
}
