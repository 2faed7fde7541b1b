import type { Scope } from '../../flow/index.js';
import type { PackedXorb, ShardRegistry, TakeOptions, UploadTarget, XorbStore } from '../ports.js';

/** Below this, asking costs about what sending does. */
const ASK_MIN_BYTES = 1024 * 1024;
/** Longer than this nobody waits to hear that a xorb need not be sent. */
const ASK_TIMEOUT_MS = 5000;

/**
 * A store of the CAS protocol as the target of an upload. Where the store can tell, it is asked before
 * a xorb is sent, as long as that pays: for the first one of some size, and on from every xorb that was
 * there already. So an upload that was interrupted sends no xorb twice, and one of new data asks once.
 */
export function storeTarget(store: XorbStore & ShardRegistry, scope: Scope): UploadTarget {
  /** The last xorb was there already, or there was none yet. */
  let mayKnow = true;

  const isThere = async ({ hash, body }: PackedXorb): Promise<boolean> => {
    if (!mayKnow || store.hasXorb === undefined || body.sizeBytes < ASK_MIN_BYTES) return false;
    const asking = scope.child();
    const stop = asking.after(ASK_TIMEOUT_MS, () => asking.end('it took too long'));
    try {
      return await asking.call((signal) => (store.hasXorb as Has).call(store, hash, signal));
    } catch {
      return false;
    } finally {
      stop();
      asking.close();
    }
  };

  return {
    xorbs: {
      async take(xorb: PackedXorb, { signal, onSent }: TakeOptions) {
        if (await isThere(xorb)) {
          onSent(xorb.body.sizeBytes);
          return { inserted: false };
        }
        const sent = await store.putXorb(xorb.hash, xorb.body, { signal, onSent });
        mayKnow = !sent.inserted;
        return sent;
      },
    },
    shards: {
      register: (shard, { signal, onProgress }) =>
        store.putShard(shard, { signal, onProgress: () => onProgress() }),
    },
  };
}

type Has = NonNullable<XorbStore['hasXorb']>;
