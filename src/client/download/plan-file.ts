import { openBlock, type Transfer } from './block.js';
import { checkOptions, localRuns, transferOf } from './download-file.js';
import { FetchTally } from './fetch-tally.js';
import { gapsOf } from './rest.js';
import type { Gap } from './seeds/take.js';
import type { DownloadOptions, FilePlan } from './types.js';

/**
 * Looks at all that `downloadFile` would use, and fetches nothing: what an earlier run left is read back, seeds
 * are cut, and the store is asked where the rest is. To the sink is written only what seeds have.
 *
 * @throws what `downloadFile` throws before it fetches
 */
export async function planFile(options: DownloadOptions): Promise<FilePlan> {
  checkOptions(options);
  const transfer = transferOf(options);
  const { scope, counters, part } = transfer;
  return scope.run(async () => {
    scope.check();
    const held = part === null ? [] : await localRuns(transfer, part);
    const { offset = 0, length = Number.POSITIVE_INFINITY } = options.range ?? {};
    const isRange = options.range !== undefined;
    const gaps = isRange ? [{ offset, end: offset + length }] : gapsOf(held);
    const tally = new FetchTally();
    let end = offset;
    for (const gap of options.fileHash.isZero() || length === 0 ? [] : gaps) {
      end = await planGap(transfer, gap, tally);
    }
    const { resumedBytes, seededBytes, requestCount } = counters;
    return {
      sizeBytes: end - offset,
      ...tally.plan(requestCount),
      ...{ resumedBytes, seededBytes, seedNote: transfer.seedNote },
    };
  });
}

/** @returns where the gap or the file ends */
async function planGap(
  transfer: Transfer,
  { offset, end }: Gap,
  tally: FetchTally,
): Promise<number> {
  const { blockBytes } = transfer;
  let fileStart = offset;
  for (;;) {
    const request = { fileStart, skipBytes: 0, blockBytes, end, keepHashes: false };
    const block = await openBlock(transfer, { ...request, previous: undefined });
    if (block === null) return fileStart;
    block.memory.release();
    tally.add(block.plan);
    fileStart += block.plan.outputBytes;
    if (block.isLast) return fileStart;
  }
}
