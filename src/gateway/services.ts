import type { Hasher } from '../hash/ports.js';
import type { BodyBuffers } from './body-buffers.js';
import type { ByteBudget } from './byte-budget.js';
import type { Call } from './call.js';
import type { FileCatalog } from './file-catalog.js';
import type { GatewaySettings } from './options.js';
import type { Clock, ObjectStore, RandomBytes, XorbReceiver, XorbVerifier } from './ports.js';
import type { GatewaySecrets } from './secrets.js';
import type { ShardCatalog } from './shard-catalog.js';
import type { XorbCatalog } from './xorb-catalog.js';

/** What the routes share, made once per gateway. */
export interface GatewayServices {
  readonly store: ObjectStore;
  readonly verifier: XorbVerifier | XorbReceiver;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings: GatewaySettings;
  readonly secrets: GatewaySecrets;
  readonly budget: ByteBudget;
  readonly buffers: BodyBuffers;
  readonly xorbs: XorbCatalog;
  readonly files: FileCatalog;
  readonly shards: ShardCatalog;
  /** Work that goes on behind a streamed answer; `close()` waits for it. */
  background(work: Promise<unknown>): void;
  /** Reports a failure that shows only inside a streamed answer. */
  fault(call: Call, error: unknown): void;
}
