import type { Scope } from '../../flow/index.js';
import type {
  PackedXorb,
  ShardRegistry,
  TakeOptions,
  UploadDestination,
  XorbStore,
} from '../ports.js';

/** Below this, asking costs about what sending does. */
const ASK_MIN_BYTES = 1024 * 1024;
/** Longer than this nobody waits to hear that a xorb need not be sent. */
const ASK_TIMEOUT_MS = 5000;

/**
 * A store of the CAS protocol as the destination of an upload. Where the store can tell, it is asked before
 * a xorb is sent, as long as that pays: for the first one of some size, and on from every xorb that was
 * there already. So an upload that was interrupted sends no xorb twice, and one of new data asks once.
 */
export function storeDestination(
  store: XorbStore & ShardRegistry,
  scope: Scope,
): UploadDestination {
  /** The last xorb was there already, or there was none yet. */
  let mayKnow = true;
  /** Xorbs come side by side; what one of them learns is for those behind it. */
  let asking: Promise<unknown> = Promise.resolve();

  const ask = async (hash: PackedXorb['hash']): Promise<boolean> => {
    const limited = scope.child();
    const stop = limited.after(ASK_TIMEOUT_MS, () => limited.end('it took too long'));
    try {
      mayKnow = await limited.call((signal) => (store.hasXorb as Has).call(store, hash, signal));
    } catch {
      mayKnow = false;
    } finally {
      stop();
      limited.close();
    }
    return mayKnow;
  };
  const isThere = ({ hash, body }: PackedXorb): Promise<boolean> | false => {
    if (!mayKnow || store.hasXorb === undefined || body.sizeBytes < ASK_MIN_BYTES) return false;
    const response = asking.then(() => mayKnow && ask(hash));
    asking = response;
    return response;
  };

  return {
    xorbs: {
      takesTurns: true,
      async take(xorb: PackedXorb, { signal, onSent, turn }: TakeOptions) {
        if (await isThere(xorb)) {
          onSent(xorb.body.sizeBytes);
          return { inserted: false };
        }
        const sent = await store.putXorb(xorb.hash, xorb.body, { signal, onSent, turn });
        mayKnow = !sent.inserted;
        return sent;
      },
    },
    shards: {
      register: (shard, options) => store.putShard(shard, options),
    },
  };
}

type Has = NonNullable<XorbStore['hasXorb']>;
