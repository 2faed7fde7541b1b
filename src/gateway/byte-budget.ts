import { failure } from './failures.js';

/** Bytes that requests may hold together. First come, first served. */
export interface ByteBudget {
  /**
   * Resolves with a function that gives the bytes back (safe to call twice).
   * @throws OrbweaverError 503 when too many wait already, 400 `ABORTED` when the signal fires first
   */
  acquire(bytes: number, signal: AbortSignal): Promise<() => void>;
  readonly usedBytes: number;
  readonly waitingCount: number;
}

interface Waiter {
  readonly bytes: number;
  readonly admit: () => void;
}

/**
 * A budget of `capacityBytes`; a request for more than all of it counts as all of it, so that one
 * always fits. Waiting costs the gateway nothing: the body of a waiting request stays with its
 * sender.
 */
export function createByteBudget(capacityBytes: number, maxWaitingCount: number): ByteBudget {
  let used = 0;
  const queue: Waiter[] = [];

  const admitWaiting = (): void => {
    for (let next = queue[0]; next !== undefined; next = queue[0]) {
      if (used + next.bytes > capacityBytes) return;
      queue.shift();
      used += next.bytes;
      next.admit();
    }
  };
  const releaser = (bytes: number): (() => void) => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      used -= bytes;
      admitWaiting();
    };
  };

  return {
    acquire(wanted: number, signal: AbortSignal): Promise<() => void> {
      const bytes = Math.min(wanted, capacityBytes);
      if (signal.aborted) return Promise.reject(gone());
      if (queue.length === 0 && used + bytes <= capacityBytes) {
        used += bytes;
        return Promise.resolve(releaser(bytes));
      }
      if (queue.length >= maxWaitingCount) {
        return Promise.reject(failure(503, 'RATE_LIMITED', 'too many uploads at once, try again'));
      }
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          queue.splice(queue.indexOf(waiter), 1);
          reject(gone());
          admitWaiting();
        };
        const waiter: Waiter = {
          bytes,
          admit: () => {
            signal.removeEventListener('abort', onAbort);
            resolve(releaser(bytes));
          },
        };
        signal.addEventListener('abort', onAbort, { once: true });
        queue.push(waiter);
      });
    },
    get usedBytes(): number {
      return used;
    },
    get waitingCount(): number {
      return queue.length;
    },
  };
}

const gone = (): Error => failure(400, 'ABORTED', 'the client is gone');
