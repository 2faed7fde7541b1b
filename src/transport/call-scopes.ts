import { OrbweaverError } from '../errors.js';
import { type Clock, Scope } from '../flow/index.js';

/**
 * One scope per call, ended by the caller's signal or by closing the client. A caller hands the same
 * signal to hundreds of calls: it gets one listener for all of them (Node warns of a leak from the
 * eleventh on), and none when no call is left.
 */
export interface CallScopes {
  /** The scope is the call's to close. */
  open(signal: AbortSignal | undefined): Scope;
  /** Ends every call with `CLOSED`, now and later. */
  close(): void;
  readonly closed: boolean;
}

const WHAT = 'the transfer';

export function createCallScopes(clock: Clock): CallScopes {
  const all = new Scope({ clock, what: WHAT });
  const shared = new WeakMap<AbortSignal, { readonly scope: Scope; callCount: number }>();

  const sharedOf = (signal: AbortSignal): { readonly scope: Scope; callCount: number } => {
    const known = shared.get(signal);
    if (known !== undefined && !known.scope.ended) return known;
    const made = { scope: all.child({ signal }), callCount: 0 };
    shared.set(signal, made);
    return made;
  };

  return {
    open(signal) {
      if (signal === undefined || all.ended) return all.child();
      const parent = sharedOf(signal);
      const scope = parent.scope.child();
      parent.callCount++;
      scope.onEnd(() => {
        parent.callCount--;
        if (parent.callCount > 0) return;
        shared.delete(signal);
        parent.scope.close();
      });
      return scope;
    },
    close: () => all.end(new OrbweaverError('CLOSED', 'the client was closed')),
    get closed() {
      return all.ended;
    },
  };
}
