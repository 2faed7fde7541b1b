import type { Clock } from '../flow/index.js';
import type { Hasher } from '../hash/ports.js';
import type { RandomBytes } from '../platform/index.js';
import type { BodyBuffers } from './body-buffers.js';
import type { Call } from './call.js';
import type { DamageList } from './damage-list.js';
import type { DedupResponses } from './dedup-responses.js';
import type { FileCatalog } from './file-catalog.js';
import type { UploadGrants } from './grants.js';
import type { Keeper } from './keeper.js';
import type { GatewayMemory } from './memory.js';
import type { GatewaySettings } from './options.js';
import type { FileSource, ObjectStore, XorbReceiver, XorbVerifier } from './ports.js';
import type { TenantQuota } from './quotas.js';
import type { GatewaySecrets } from './secrets.js';
import type { ShardOutlines } from './shard-outline.js';
import type { StoreIndex } from './store-index.js';
import type { TermTrees } from './term-trees.js';
import type { TokenSigner } from './token-signer.js';
import type { Turns } from './turns.js';
import type { XorbCatalog } from './xorb-catalog.js';
import type { XorbHealth } from './xorb-health.js';

/** What is made once per gateway, whosever data it is used for. */
export interface SharedServices {
  readonly verifier: XorbVerifier | XorbReceiver;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings: GatewaySettings;
  readonly memory: GatewayMemory;
  readonly buffers: BodyBuffers;
  /** Makes short-lived tokens; null: nobody does. */
  readonly signer: TokenSigner | null;
  /** Secrets for what one tenant is given; undefined: those who name none. */
  secretsOf(tenant: string | undefined): GatewaySecrets;
  /** Checks of shards at a time: each is work of the one thread that serves everybody. */
  readonly shardTurns: Turns;
  /** Plans of reconstructions at a time. */
  readonly planTurns: Turns;
  /** Work that goes on behind a streamed response; `close()` waits for it. */
  background(work: Promise<unknown>): void;
  /** Aborted when the gateway closes: long work in the background ends then. */
  readonly closing: AbortSignal;
  /** True from the moment on when `/ready` has to say that requests go elsewhere. */
  isDraining(): boolean;
  /** Reports a failure that shows only inside a streamed response. */
  fault(call: Call, error: unknown): void;
}

/** What the routes share, made once per tenant. */
export interface GatewayServices extends SharedServices {
  readonly store: ObjectStore;
  readonly secrets: GatewaySecrets;
  readonly xorbs: XorbCatalog;
  readonly health: XorbHealth;
  readonly keeper: Keeper;
  readonly damage: DamageList;
  readonly grants: UploadGrants;
  readonly quota: TenantQuota;
  readonly index: StoreIndex;
  readonly files: FileCatalog;
  readonly trees: TermTrees;
  readonly outlines: ShardOutlines;
  readonly dedup: DedupResponses;
  /** Who brings files that are missing; null: nobody. */
  readonly upstream: FileSource | null;
}
