import type { RegionStep } from '../../edit/index.js';
import { OrbweaverError } from '../../errors.js';
import type { Source, SourceReader } from '../ports.js';
import type { OldBytes } from './old-bytes.js';

const DROP_BYTES = 64 * 1024;

/**
 * The new bytes of a region: old bytes that stay and inserted ones, in order, read when they are asked
 * for. Every byte of its windows is read, also those that are dropped: all of them are proved.
 */
export function regionSource(
  steps: readonly RegionStep[],
  parts: {
    readonly name: string;
    readonly openWindow: (window: number) => OldBytes;
    readonly inserts: readonly (Source | null)[];
  },
): Source {
  const sizeBytes = sizeOf(steps, parts.inserts);
  return {
    name: parts.name,
    ...(sizeBytes === null ? {} : { sizeBytes }),
    // Inserted streams cannot be read twice, and nobody asks: nothing is registered before all is there.
    reopenable: false,
    open: async (signal) => createReader(steps, parts, signal),
  };
}

/** Null when an insert is of unknown length. */
function sizeOf(steps: readonly RegionStep[], inserts: readonly (Source | null)[]): number | null {
  let sizeBytes = 0;
  for (const step of steps) {
    if (step.kind === 'copy') sizeBytes += step.bytes;
    if (step.kind !== 'insert') continue;
    const insert = inserts[step.index] ?? null;
    if (insert !== null && insert.sizeBytes === undefined) return null;
    sizeBytes += insert?.sizeBytes ?? 0;
  }
  return sizeBytes;
}

function createReader(
  steps: readonly RegionStep[],
  { openWindow, inserts }: Pick<Parameters<typeof regionSource>[1], 'openWindow' | 'inserts'>,
  signal: AbortSignal | undefined,
): SourceReader {
  let next = 0;
  let leftBytes: number | null = null;
  let insert: SourceReader | null = null;
  let old: { readonly window: number; readonly bytes: OldBytes } | null = null;

  const oldOf = async (window: number): Promise<OldBytes> => {
    if (old?.window === window) return old.bytes;
    await endOld();
    old = { window, bytes: openWindow(window) };
    return old.bytes;
  };
  /** Only the end of a download says that all of it was right. */
  const endOld = async (): Promise<void> => {
    if (old === null) return;
    const { bytes } = old;
    old = null;
    if ((await bytes.read(new Uint8Array(1))) > 0) {
      throw new OrbweaverError('INTERNAL', 'a window expected to be read to its end');
    }
  };
  /** Bytes of the current step; 0: the step is over. */
  const step = async (into: Uint8Array): Promise<number> => {
    const current = steps[next] as RegionStep;
    if (current.kind === 'insert') {
      const source = inserts[current.index] ?? null;
      if (source === null) return 0;
      insert ??= await source.open(signal);
      const count = await insert.read(into);
      if (count > 0) return count;
      await insert.close();
      insert = null;
      return 0;
    }
    const bytes = await oldOf(current.window);
    leftBytes ??= current.bytes;
    const sink = new Uint8Array(current.kind === 'drop' ? Math.min(DROP_BYTES, leftBytes) : 0);
    while (leftBytes > 0) {
      const target = current.kind === 'drop' ? sink : into;
      const count = await bytes.read(target.subarray(0, Math.min(leftBytes, target.length)));
      if (count === 0) throw new OrbweaverError('INTERNAL', 'a window ended too early');
      leftBytes -= count;
      if (current.kind === 'copy') return count;
    }
    leftBytes = null;
    return 0;
  };

  return {
    async read(into) {
      for (; next < steps.length; next++) {
        const count = await step(into);
        if (count > 0) return count;
      }
      await endOld();
      return 0;
    },
    async close() {
      old?.bytes.cancel();
      await insert?.close();
    },
  };
}
