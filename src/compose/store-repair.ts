import type { BlockCodec } from '../compress/ports.js';
import { isOrbweaverError } from '../errors.js';
import { createXorbRebuilder, type ObjectStore } from '../gateway/index.js';
import type { Hasher } from '../hash/ports.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { UPSTREAM_RULES } from './client-rules.js';
import type { ClientOptions } from './client-types.js';

/** What damaged xorbs are made again from. */
export interface StoreRepair {
  /** For `scrubStore`. @throws OrbweaverError when the other store refuses the token or is not reached */
  repair(key: string): Promise<Uint8Array | null>;
  close(): Promise<void>;
}

/** Another store of the protocol that has the files of this one. */
export interface RepairUpstream
  extends Pick<ClientOptions, 'token' | 'ca' | 'allowHosts' | 'retry'> {
  readonly endpoint: string;
}

/** A few files are read, one after the other. */
const CLIENT_MEMORY_BYTES = 64 * 1024 * 1024;
/** What another store answers that lacks the file, or cannot read it itself. */
const NOT_THERE: readonly string[] = ['NOT_FOUND', 'INTEGRITY', 'RANGE_INVALID'];

/** What {@link createStoreRepair} is made with. */
export interface StoreRepairOptions {
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  readonly upstream: RepairUpstream;
  readonly signal?: AbortSignal | undefined;
}

const RULES: OptionRules<StoreRepairOptions> = {
  hasher: is.required(is.object),
  codec: is.required(is.object),
  upstream: is.required(is.object),
  signal: is.signal,
};

/**
 * Repairs xorbs of a store with bytes of another one, which need not have packed them the same way: every
 * chunk is hashed before it counts.
 *
 * @throws TypeError for an endpoint that is no URL
 * @example
 * const { repair, close } = await createStoreRepair(store, { hasher, codec, upstream });
 * const { repaired } = await scrubStore(store, { hasher, codec, repair });
 * await close();
 */
export async function createStoreRepair(
  store: ObjectStore,
  parts: StoreRepairOptions,
): Promise<StoreRepair> {
  const { hasher, codec, upstream, signal } = checkOptions('createStoreRepair', parts, RULES);
  checkOptions('upstream', upstream, UPSTREAM_RULES);
  const { createClient } = await import('./client.js');
  const client = await createClient({ ...upstream, workers: 0, maxMemory: CLIENT_MEMORY_BYTES });
  return {
    repair: createXorbRebuilder({
      store,
      hasher,
      codec,
      async readFile(file, { start, end }) {
        const bytes = new Uint8Array(end - start);
        let at = 0;
        try {
          const wanted = { offset: start, length: bytes.length, signal };
          for await (const piece of client.stream(file.toString(), wanted)) {
            bytes.set(piece, at);
            at += piece.length;
          }
        } catch (error) {
          if (isOrbweaverError(error) && NOT_THERE.includes(error.code)) return null;
          throw error;
        }
        return at === bytes.length ? bytes : null;
      },
    }),
    close: () => client.close(),
  };
}
