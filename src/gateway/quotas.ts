import type { Clock } from '../flow/index.js';
import type { Hasher } from '../hash/ports.js';
import { checkOptions, is } from '../options/index.js';
import { type RandomBytes, SYSTEM_CLOCK, systemRandomBytes } from '../platform/index.js';
import { failure } from './failures.js';
import type { ObjectStore, ValueStore } from './ports.js';
import { createStoreIndex, type StoreIndex } from './store-index.js';
import { isTenant, TENANT_EXPECTED } from './tenants.js';
import {
  type Counted,
  createUsageLedger,
  type Held,
  heldBytes,
  holding,
  USAGE_KEY,
  type Usage,
} from './usage-ledger.js';

/**
 * How much a tenant may have. A request that would take more gets 413 before its body is read: that
 * is final for every client of the protocol, where 507 and 503 are repeated for minutes and 403 looks
 * like a wrong token.
 */
export interface Quota {
  /** Sum of the sizes of its files. @default no limit */
  readonly logicalBytes?: number | undefined;
  /** What its xorbs take in the store. @default no limit */
  readonly storedBytes?: number | undefined;
}

/** Quotas by tenant: `*` for each tenant that is not named, the empty name for the root. */
export type Quotas = Readonly<Record<string, Quota>>;

/** The quota of one tenant at work. */
export interface TenantQuota {
  /** Null: nothing is counted, and what is said to have come does not matter. */
  readonly quota: Quota | null;
  /**
   * Keeps room for stored bytes which may come until then.
   * @throws OrbweaverError 413 `QUOTA_EXCEEDED`
   */
  reserve(room: Held): Promise<void>;
  /** Gives back room that was reserved, before its time. */
  release(room: Held): Promise<void>;
  /**
   * Does what takes so much more, which is counted from the start. At its end what really came is
   * counted instead: nothing, unless `came` was told. It takes the room that was reserved for it, which
   * is reserved again when it fails.
   * @throws OrbweaverError 413 `QUOTA_EXCEEDED`; what `work` throws
   */
  hold<Result>(
    more: Partial<Usage>,
    work: (came: (actual: Partial<Usage>) => void) => Promise<Result>,
    reserved?: Held,
  ): Promise<Result>;
}

/** Nothing was reserved. */
export const NO_ROOM: Held = { endMs: 0, bytes: 0 };

/** For those who have none. */
const NO_QUOTA: TenantQuota = {
  quota: null,
  reserve: async () => undefined,
  release: async () => undefined,
  hold: (_more, work) => work(() => undefined),
};

/** @throws TypeError, RangeError */
export function checkQuotas(quotas: Quotas, name: string): Quotas {
  for (const [tenant, quota] of Object.entries(quotas)) {
    if (tenant !== '' && tenant !== '*' && !isTenant(tenant)) {
      throw new TypeError(
        `"${name}" expected names of tenants (${TENANT_EXPECTED}), got "${tenant}"`,
      );
    }
    for (const [key, value] of Object.entries(quota)) {
      if (key !== 'logicalBytes' && key !== 'storedBytes') {
        throw new TypeError(`"${name}" expected logicalBytes and storedBytes, got "${key}"`);
      }
      if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
        throw new RangeError(`"${name}" expected bytes for "${tenant}", got ${value}`);
      }
    }
  }
  return quotas;
}

/** The quota that holds for a tenant; null: none. */
export function quotaFor(quotas: Quotas | null, tenant: string | undefined): Quota | null {
  if (quotas === null) return null;
  if (Object.hasOwn(quotas, tenant ?? '')) return quotas[tenant ?? ''] ?? null;
  return tenant === undefined ? null : (quotas['*'] ?? null);
}

export function createTenantQuota(parts: {
  readonly quota: Quota | null;
  readonly values: ValueStore | undefined;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly count: () => Promise<Usage>;
}): TenantQuota {
  const { quota, values } = parts;
  if (quota === null || values === undefined) return NO_QUOTA;
  const ledger = createUsageLedger({ ...parts, values });
  const excess = (usage: Counted, more: Partial<Usage>): string | null => {
    for (const kind of ['storedBytes', 'logicalBytes'] as const) {
      const most = quota[kind];
      const added = more[kind] ?? 0;
      const held = kind === 'storedBytes' ? heldBytes(usage) : 0;
      if (most === undefined || added === 0 || usage[kind] + held + added <= most) continue;
      const what = kind === 'storedBytes' ? 'stored data' : 'files';
      const kept = held === 0 ? '' : `, room for ${held} is kept for upload grants`;
      return `the quota of ${most} bytes of ${what} is used up: ${usage[kind]} bytes are there${kept}, ${added} more do not fit`;
    }
    return null;
  };
  /** Has the count changed, unless so much more does not fit after `before`. */
  async function take(
    more: Partial<Usage>,
    before: (usage: Counted) => Counted,
    next: (usage: Counted) => Counted,
  ): Promise<void> {
    let message: string | null = null;
    await ledger.change((counted) => {
      const usage = before(counted);
      message = excess(usage, more);
      return message === null ? next(usage) : null;
    });
    if (message !== null) throw failure(413, 'QUOTA_EXCEEDED', message);
  }
  const giveBack = (room: Held): Held => ({ endMs: room.endMs, bytes: -room.bytes });

  return {
    quota,
    async reserve(room) {
      if (room.bytes === 0) return;
      await take(
        { storedBytes: room.bytes },
        (usage) => usage,
        (usage) => holding(usage, room),
      );
    },
    async release(room) {
      if (room.bytes > 0) await ledger.change((usage) => holding(usage, giveBack(room)));
    },
    async hold(more, work, reserved = NO_ROOM) {
      const isReserved = reserved.bytes > 0;
      const unreserved = (usage: Counted): Counted =>
        isReserved ? holding(usage, giveBack(reserved)) : usage;
      await take(more, unreserved, (usage) => plus(usage, more));
      let actual: Partial<Usage> = {};
      let isDone = false;
      try {
        const result = await work((came) => {
          actual = came;
        });
        isDone = true;
        return result;
      } finally {
        const difference = {
          storedBytes: (actual.storedBytes ?? 0) - (more.storedBytes ?? 0),
          logicalBytes: (actual.logicalBytes ?? 0) - (more.logicalBytes ?? 0),
        };
        const isHeldAgain = isReserved && !isDone;
        if (isHeldAgain || difference.storedBytes !== 0 || difference.logicalBytes !== 0) {
          await ledger.change((usage) => {
            const counted = plus(usage, difference);
            return isHeldAgain ? holding(counted, reserved) : counted;
          });
        }
      }
    },
  };
}

function plus(usage: Counted, more: Partial<Usage>): Counted {
  return {
    ...usage,
    logicalBytes: usage.logicalBytes + (more.logicalBytes ?? 0),
    storedBytes: usage.storedBytes + (more.storedBytes ?? 0),
  };
}

/** What is in the store of a tenant, by looking at all of it. */
export async function countUsage(
  store: ObjectStore,
  index: Pick<StoreIndex, 'files'>,
): Promise<Usage> {
  let storedBytes = 0;
  let logicalBytes = 0;
  for await (const { sizeBytes } of store.list('xorbs/')) storedBytes += sizeBytes;
  for await (const { sizeBytes } of index.files()) logicalBytes += sizeBytes ?? 0;
  return { logicalBytes, storedBytes };
}

/**
 * Counts what a tenant has anew and corrects what its quota is held against; what is uploaded meanwhile
 * is counted as well. For after something was deleted, or a gateway was killed while it took uploads.
 *
 * @param store that of the tenant: `tenantStore(store, tenant)`
 */
export async function recount(store: ObjectStore, parts: RecountParts): Promise<Usage> {
  checkOptions('recount', parts, {
    hasher: is.required(is.object),
    clock: is.object,
    random: is.callback,
  });
  const { hasher, clock = SYSTEM_CLOCK, random = systemRandomBytes } = parts;
  const index = createStoreIndex({ store, hasher });
  const { values } = store;
  const count = (): Promise<Usage> => countUsage(store, index);
  if (values === undefined) return count();
  const ledger = createUsageLedger({ values, clock, random, count });
  const before = await ledger.read();
  const counted = await count();
  const corrected = await ledger.change((usage) =>
    before === null
      ? { ...usage, ...counted }
      : plus({ ...counted, held: usage.held }, minus(usage, before)),
  );
  const { logicalBytes, storedBytes } = corrected ?? counted;
  return { logicalBytes, storedBytes };
}

/**
 * The same where there is a count, which is where there was a quota; null: there is none, and nothing was
 * looked at.
 */
export async function recountCounted(
  store: ObjectStore,
  parts: RecountParts,
): Promise<Usage | null> {
  const counted = await store.values?.read(USAGE_KEY);
  return counted === undefined || counted === null ? null : recount(store, parts);
}

/** What {@link recount} needs. */
export interface RecountParts {
  readonly hasher: Hasher;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /** @default the random bytes of the machine */
  readonly random?: RandomBytes | undefined;
}

function minus(usage: Usage, less: Usage): Usage {
  return {
    logicalBytes: usage.logicalBytes - less.logicalBytes,
    storedBytes: usage.storedBytes - less.storedBytes,
  };
}
