import { OrbweaverError } from '../errors.js';

/**
 * One signal per call, aborted by the caller's signal or by closing the client.
 *
 * A caller hands the same signal to hundreds of calls. However many there are, the signal gets one
 * listener (Node warns of a leak from the eleventh on), and none when no call is left.
 */
export interface CallSignals {
  /** `unlink` when the call is over. */
  link(signal: AbortSignal | undefined): { readonly signal: AbortSignal; unlink(): void };
  /** Aborts every call with `CLOSED`, now and later. */
  close(): void;
  readonly closed: boolean;
}

interface Followers {
  readonly calls: Set<AbortController>;
  readonly listener: () => void;
}

export function createCallSignals(): CallSignals {
  const running = new Set<AbortController>();
  const followersOf = new WeakMap<AbortSignal, Followers>();
  let closed = false;

  const follow = (signal: AbortSignal, call: AbortController): void => {
    const known = followersOf.get(signal);
    if (known !== undefined) {
      known.calls.add(call);
      return;
    }
    const calls = new Set([call]);
    const listener = (): void => {
      followersOf.delete(signal);
      for (const follower of calls) follower.abort(signal.reason);
    };
    followersOf.set(signal, { calls, listener });
    signal.addEventListener('abort', listener, { once: true });
  };
  const unfollow = (signal: AbortSignal, call: AbortController): void => {
    const known = followersOf.get(signal);
    if (known === undefined || !known.calls.delete(call) || known.calls.size > 0) return;
    signal.removeEventListener('abort', known.listener);
    followersOf.delete(signal);
  };

  return {
    get closed() {
      return closed;
    },
    link(signal) {
      const call = new AbortController();
      if (closed) call.abort(closedError());
      else if (signal?.aborted === true) call.abort(signal.reason);
      else {
        running.add(call);
        if (signal !== undefined) follow(signal, call);
      }
      return {
        signal: call.signal,
        unlink() {
          running.delete(call);
          if (signal !== undefined) unfollow(signal, call);
        },
      };
    },
    close() {
      closed = true;
      for (const call of running) call.abort(closedError());
    },
  };
}

function closedError(): OrbweaverError {
  return new OrbweaverError('CLOSED', 'the client was closed');
}
