import type { DownloadProgress, OrbweaverClient, ZipEntryRequest } from '../index.js';
import { downloadState, type Reporter } from './reporter.js';

/** Downloads that run at a time. */
const LANES = 4;
/** Files whose size is asked for at a time. */
const SIZE_LANES = 8;

/** What became of one; null: it was not begun. */
export type Outcome<T> = { readonly tell: T } | { readonly error: unknown } | null;

/** Downloads several files side by side, with one progress for all; begins none after an interruption. */
export async function downloadMany<T>(
  client: OrbweaverClient,
  {
    entries,
    reporter,
    signal,
  }: {
    readonly entries: readonly ZipEntryRequest[];
    readonly reporter: Reporter;
    readonly signal: AbortSignal;
  },
  run: (index: number, onProgress: (progress: DownloadProgress) => void) => Promise<T>,
): Promise<Outcome<T>[]> {
  const outcomes: Outcome<T>[] = entries.map(() => null);
  const standing: (DownloadProgress | undefined)[] = entries.map(() => undefined);
  const sizes: (number | undefined)[] = entries.map(() => undefined);
  const tell = (last: number): void => {
    const sum = { doneBytes: 0, newBytes: 0, dedupedBytes: 0, wireBytes: 0 };
    let totalBytes: number | undefined = 0;
    let doneFileCount = 0;
    for (const [i, progress] of standing.entries()) {
      const size: number | undefined = progress?.totalBytes ?? sizes[i];
      totalBytes = size === undefined || totalBytes === undefined ? undefined : totalBytes + size;
      if (progress === undefined) continue;
      const state = downloadState(progress);
      sum.doneBytes += state.doneBytes;
      sum.newBytes += state.newBytes ?? 0;
      sum.dedupedBytes += state.dedupedBytes ?? 0;
      sum.wireBytes += state.wireBytes;
      if (outcomes[i] !== null) doneFileCount++;
    }
    const { writtenBytes = 0, phase } = standing[last] ?? {};
    const file = {
      path: (entries[last] as ZipEntryRequest).name,
      doneBytes: writtenBytes,
      totalBytes: standing[last]?.totalBytes ?? sizes[last],
    };
    const isDone = doneFileCount === entries.length;
    const fileCount = entries.length;
    // Others are at it when one is done.
    const shown = phase === 'done' && !isDone ? 'fetching' : phase;
    reporter.update({ ...sum, phase: shown, totalBytes, file, doneFileCount, fileCount });
  };
  const inLanes = async (most: number, work: (index: number) => Promise<void>): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let i = next++; i < entries.length && !signal.aborted; i = next++) await work(i);
    };
    await Promise.all(Array.from({ length: Math.min(most, entries.length) }, lane));
  };
  // The first ones say it themselves; the whole is known before the last ones are begun.
  const measuring = inLanes(SIZE_LANES, async (i) => {
    const { hash } = entries[i] as ZipEntryRequest;
    const file = i < LANES ? null : await client.open(hash, { signal }).catch(() => null);
    if (file === null) return;
    sizes[i] = file.size;
    await file.close();
  });
  await inLanes(LANES, async (i) => {
    try {
      const done = await run(i, (progress) => {
        standing[i] = progress;
        tell(i);
      });
      outcomes[i] = { tell: done };
    } catch (error) {
      outcomes[i] = { error };
    }
    tell(i);
  });
  await measuring;
  return outcomes;
}
