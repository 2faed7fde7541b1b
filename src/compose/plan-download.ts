import { type FilePlan, planFile } from '../client/downloads.js';
import { MerkleHash } from '../hash/index.js';
import { memorySink, planSink } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { PlanDownloadOptions } from './client-types.js';
import { closeAll } from './close-all.js';
import type { DownloadParts } from './download.js';
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
