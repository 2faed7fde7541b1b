import { type FilePlan, planFile } from '../client/downloads.js';
import type { Sink } from '../client/ports.js';
import { MerkleHash } from '../hash/index.js';
import { memorySink, planSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type {
  PlanDownloadOptions,
  PlanZipOptions,
  ZipEntryRequest,
  ZipPlan,
} from './client-types.js';
import { closeAll } from './close-all.js';
import type { DownloadParts } from './download.js';
import { PlanSum } from './plan-sum.js';
import { openSeeds } from './seeds.js';

/** Says what a download would do. @throws what `OrbweaverClient.planDownload` does */
export async function runPlan(
  { cas, pool, budget, concurrency }: DownloadParts,
  fileHash: string,
  { to, offset, length, resume = true, seeds, signal, onProgress }: PlanDownloadOptions,
): Promise<FilePlan> {
  const range = (offset ?? length) === undefined ? undefined : { offset: offset ?? 0, length };
  const whole = range === undefined && to !== undefined ? to : null;
  const opened = whole === null ? [] : await openSeeds({ to: whole, resume, seeds });
  const sink = whole === null ? null : planSink(whole, { keepAs: fileHash, anew: !resume });
  try {
    return await planFile({
      ...{ cas, pool, budget, concurrency, clock: SYSTEM_CLOCK, hasher: pool.kernels.hasher },
      ...{ fileHash: MerkleHash.parse(fileHash), range, seeds: opened, signal, onProgress },
      sink: sink ?? memorySink(),
    });
  } finally {
    await closeAll(opened);
    await sink?.close();
  }
}

/** Says what a download of several files into one ZIP would do. @throws what `OrbweaverClient.planZip` does */
export async function runZipPlan(
  { cas, pool, budget, concurrency }: DownloadParts,
  entries: readonly ZipEntryRequest[],
  { signal }: PlanZipOptions,
): Promise<ZipPlan> {
  const [{ EntryNames }, { checkZipEntries }] = await Promise.all([
    import('../archive/index.js'),
    import('./zip-download.js'),
  ]);
  checkZipEntries(entries, EntryNames);
  const sum = new PlanSum();
  let sizeBytes = 0;
  for (const { hash } of entries) {
    const plan = await planFile({
      ...{ cas, pool, budget, concurrency, clock: SYSTEM_CLOCK, hasher: pool.kernels.hasher },
      ...{ fileHash: MerkleHash.parse(hash), sink: IN_ORDER, signal },
    });
    sizeBytes += plan.sizeBytes;
    sum.add(plan);
  }
  return { fileCount: entries.length, sizeBytes, ...sum.plan() };
}

/** As an entry of an archive is: bytes would come one after another. */
const IN_ORDER: Sink = {
  name: 'an archive',
  positional: false,
  write: async () => {},
  commit: async () => {},
  abort: async () => {},
};
