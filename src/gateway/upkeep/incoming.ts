import type { Clock } from '../../flow/index.js';
import { incomingEndMs } from '../grants.js';
import { INCOMING_PREFIX } from '../keys.js';
import type { ObjectStore } from '../ports.js';

/** How long an object outlives its grant at most: its commit may still be repeated. */
const COMMIT_GRACE_MS = 60 * 60 * 1000;

/** What was found under `incoming/`, and what of it was deleted. */
export interface IncomingDeleted {
  readonly objects: number;
  readonly bytes: number;
  readonly deletedObjects: number;
  readonly deletedBytes: number;
}

/** Deletes what was put by an upload grant that has expired, and never committed. */
export async function deleteIncoming(parts: {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly dryRun: boolean;
}): Promise<IncomingDeleted> {
  const { store, clock, graceMs, dryRun } = parts;
  const sum = { objects: 0, bytes: 0, deletedObjects: 0, deletedBytes: 0 };
  const nowMs = clock.unixMs();
  for await (const { key, sizeBytes, modifiedMs } of store.list(INCOMING_PREFIX)) {
    sum.objects++;
    sum.bytes += sizeBytes;
    const endMs = incomingEndMs(key, modifiedMs);
    if (endMs + Math.min(graceMs, COMMIT_GRACE_MS) > nowMs) continue;
    if (!dryRun && !(await store.delete(key))) continue;
    sum.deletedObjects++;
    sum.deletedBytes += sizeBytes;
  }
  return sum;
}
