import { type Clock, Deferred } from '../flow/index.js';
import { type Body, piecesBody } from '../http/index.js';
import { isRetryable, publicError, statusOf } from './failures.js';

/**
 * The response of POST /v2/shards: one JSON object per line while the work goes on, the last progress
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
 * Runs `work` and gives what it tells as a body. `work` resolves with the fields of the result line.
 * A reader that goes away fires the signal given to `work`, and the rest is said to nobody. Of lines
 * that nobody reads only the last is kept.
 */
export function progressLines(options: {
  clock: Clock;
  heartbeatMs: number;
  work: (
    tell: (line: ProgressLine) => void,
    signal: AbortSignal,
  ) => Promise<Readonly<Record<string, unknown>>>;
  onError: (error: unknown) => void;
}): { body: Body; finished: Promise<void> } {
  const { clock, heartbeatMs } = options;
  const lines = createLines();
  let last: ProgressLine | null = null;
  let lastMs = Number.NEGATIVE_INFINITY;
  let stopTimer = (): void => undefined;

  const repeat = (): void => {
    stopTimer();
    if (last !== null) lines.write(last);
    stopTimer = clock.setTimer(heartbeatMs, repeat);
  };
  const tell = (line: ProgressLine): void => {
    const complete = line.type === 'validating' && line.verified === line.total;
    const isStep = last?.type !== line.type || line.type === 'committing' || complete;
    last = line;
    const nowMs = clock.now();
    if (!isStep && nowMs - lastMs < MIN_LINE_INTERVAL_MS) return;
    lastMs = nowMs;
    repeat();
  };
  const end = (line: object): void => {
    stopTimer();
    lines.write(line);
    lines.end();
  };
  const finished = options.work(tell, lines.gone.signal).then(
    (fields) => end({ type: 'result', ...fields }),
    (error) => {
      options.onError(error);
      const { code, message } = publicError(error);
      end({ type: 'error', code, message, retryable: isRetryable(statusOf(error)) });
    },
  );
  return { body: lines.body, finished };
}

/** More lines than this wait for a reader that does not read: the oldest progress is dropped. */
const MAX_UNREAD_LINES = 256;

function createLines(): {
  readonly body: Body;
  /** Fires when the reader goes away. */
  readonly gone: AbortController;
  write(line: object): void;
  end(): void;
} {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  const queue: Uint8Array[] = [];
  let ended = false;
  let wake = new Deferred<void>();
  const stir = (): void => {
    wake.resolve();
    wake = new Deferred();
  };
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = queue.shift();
      if (piece !== undefined) yield piece;
      else if (ended) return;
      else await wake.promise;
    }
  };
  const { fill, take, cancel } = piecesBody(pieces());
  return {
    gone,
    body: {
      fill,
      ...(take === undefined ? {} : { take }),
      cancel(reason) {
        ended = true;
        queue.length = 0;
        gone.abort();
        stir();
        cancel(reason);
      },
    },
    write(line) {
      if (gone.signal.aborted) return;
      if (queue.length === MAX_UNREAD_LINES) queue.shift();
      queue.push(encoder.encode(`${JSON.stringify(line)}\n`));
      stir();
    },
    end() {
      ended = true;
      stir();
    },
  };
}
