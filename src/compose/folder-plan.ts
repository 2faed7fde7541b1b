import { planBatch, planFile } from '../client/downloads.js';
import { createSpool, openPlanTree } from '../io/index.js';
import type { DownloadParts } from './download.js';
import { withManifest } from './folder-begin.js';
import { checkSeed, seedsOf } from './folder-download.js';
import type { Mover } from './folder-fetch.js';
import { Restore } from './folder-restore.js';
import type { FolderPlan, FolderPlanOptions } from './folder-types.js';
import { PlanSum } from './plan-sum.js';

/**
 * Walks through a manifest as a restore does, over a tree that only looks, and counts what would be fetched.
 * @throws what `OrbweaverClient.planFolder` does
 */
export async function runFolderPlan(
  parts: DownloadParts,
  manifestHash: string,
  options: FolderPlanOptions,
): Promise<FolderPlan> {
  const { to, names = 'portable', seeds = [] } = options;
  for (const path of seeds) await checkSeed(path);
  const spool = await createSpool();
  try {
    return await withManifest(parts, manifestHash, spool, options, async (begun) => {
      const { manifest, totals, narrator } = begun;
      const tree = await openPlanTree(to);
      try {
        const sum = new PlanSum();
        const restore = new Restore({
          ...{ parts, tree, options, totals, memory: null, narrator },
          seedsOf: (entry) => seedsOf(tree, options, entry),
          ...{ mover: planner(sum), phase: 'planning' },
        });
        restore.counters.fetchedBytes = manifest.fetchedBytes;
        await restore.run(spool, names);
        const { fetchedBytes: _, requestCount: __, ...counters } = restore.counters;
        const { fetchBytes, requestCount, ...fetches } = sum.plan();
        return {
          ...counters,
          ...fetches,
          fetchBytes: fetchBytes + manifest.fetchedBytes,
          requestCount: requestCount + manifest.requestCount,
          failed: restore.failed,
        };
      } finally {
        await tree.close();
      }
    });
  } finally {
    await spool.remove();
  }
}

/** Moves nothing: says of each file and batch what that would cost. */
function planner(sum: PlanSum): Mover {
  // Those who are told how it goes on are told what has come, which is nothing.
  const none = { fetchedBytes: 0, requestCount: 0 };
  return {
    async file(options) {
      try {
        const plan = await planFile(options);
        // Which refuses another size than that of the manifest.
        await options.sink.commit(plan.sizeBytes);
        sum.add(plan);
        return { ...none, resumedBytes: plan.resumedBytes, seededBytes: plan.seededBytes };
      } finally {
        await options.sink.abort(undefined);
      }
    },
    async batch(options) {
      const plan = await planBatch(options);
      sum.add(plan);
      return { ...none, contents: options.files.map(() => new Uint8Array(0)) };
    },
  };
}
