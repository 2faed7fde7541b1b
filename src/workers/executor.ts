import { OrbweaverError } from '../errors.js';
import { nextTurn } from '../platform/index.js';

/** Where messages are worked off: in threads (`thread-executor.ts`) or on the calling thread. */
export interface Executor<Message, Reply> {
  /** Threads that exist now. */
  readonly threadCount: number;
  /**
   * Messages start in the order of the calls. Once the promise has settled nobody works on the
   * message any more: what it borrowed may be used again.
   * @throws OrbweaverError `WORKER_FAILED` when the thread died, `CLOSED` after {@link close}
   */
  run(message: Message, transfer: ArrayBuffer[]): Promise<Reply>;
  /** Waits for what runs. Safe to call twice. */
  close(): Promise<void>;
}

/** `CLOSED`, of everything that a pool is made of. */
export function closedError(): OrbweaverError {
  return new OrbweaverError('CLOSED', '"pool" expected an open one, got a closed one');
}

/**
 * Works on the calling thread, one message per turn of the event loop: a whole slab takes
 * milliseconds, and I/O, timers and cancellations must get their turn in between. `makeRun` is called
 * with the first message.
 */
export function createInThreadExecutor<Message, Reply>(
  makeRun: () => (message: Message) => Reply,
): Executor<Message, Reply> {
  let run: ((message: Message) => Reply) | null = null;
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  return {
    threadCount: 0,
    run(message) {
      const reply = last.then(nextTurn).then(() => {
        if (closed) throw closedError();
        run ??= makeRun();
        return run(message);
      });
      last = reply.catch(() => undefined);
      return reply;
    },
    async close() {
      closed = true;
      await last;
    },
  };
}
