import type { Clock } from '../../src/flow/index.js';
import type { Body, Exchange } from '../../src/http/index.js';

/**
 * Time that passes only while everybody waits for it: hours of polling in no time, and no request
 * ever runs into its timeout because a disk was slow.
 */
export interface VirtualTime {
  readonly clock: Clock;
  /** An exchange whose requests hold time still until their responses have been read. */
  watch(exchange: Exchange): Exchange;
  /** Lets time pass until `work` has settled; `onStep` is called before each step. */
  run<T>(work: Promise<T>, onStep?: (nowMs: number) => void | Promise<void>): Promise<T>;
  readonly nowMs: number;
}

const START_UNIX_MS = Date.UTC(2026, 0, 1);
/** Turns of the event loop without anything under way before time moves. */
const IDLE_TURNS = 3;

export function createVirtualTime(): VirtualTime {
  let nowMs = 0;
  let busy = 0;
  let timers: { dueMs: number; callback: () => void }[] = [];
  const clock: Clock = {
    now: () => nowMs,
    unixMs: () => START_UNIX_MS + nowMs,
    setTimer(delayMs, callback) {
      const timer = { dueMs: nowMs + Math.max(0, delayMs), callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const counted = (body: Body): Body => {
    let open = true;
    busy++;
    const close = (): void => {
      if (open) busy--;
      open = false;
    };
    return {
      sizeBytes: body.sizeBytes,
      async fill(into) {
        try {
          const count = await body.fill(into);
          if (count === 0) close();
          return count;
        } catch (error) {
          close();
          throw error;
        }
      },
      cancel(reason) {
        close();
        body.cancel(reason);
      },
    };
  };
  return {
    clock,
    get nowMs() {
      return nowMs;
    },
    watch: (exchange) => async (request) => {
      busy++;
      try {
        const response = await exchange(request);
        return response.body === null ? response : { ...response, body: counted(response.body) };
      } finally {
        busy--;
      }
    },
    async run(work, onStep) {
      let over = false;
      const settled = work.finally(() => {
        over = true;
      });
      settled.catch(() => undefined);
      while (!over) {
        for (let turn = 0; turn < IDLE_TURNS && !over; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
          if (busy > 0) turn = -1;
        }
        if (over || timers.length === 0) continue;
        await onStep?.(nowMs);
        timers.sort((a, b) => a.dueMs - b.dueMs);
        const next = timers.shift();
        if (next === undefined) continue;
        nowMs = Math.max(nowMs, next.dueMs);
        next.callback();
      }
      return settled;
    },
  };
}
