import type { RandomAccess, SourceReader } from '../client/ports.js';
import { throwIfAborted } from '../flow/index.js';
import { createEntryCheck } from './entry-check.js';
import type { DirectoryRecord } from './entry-record.js';
import { createInflater, INFLATE_STEP_BYTES } from './inflater.js';
import { takeInto } from './read-helpers.js';
import { zipInvalid } from './zip-error.js';

/** A stored entry: read straight into the caller's view. */
export function openStored(
  access: RandomAccess,
  record: DirectoryRecord,
  dataStart: number,
  signal: AbortSignal | undefined,
): SourceReader {
  const check = createEntryCheck(access.name, record.name, record.sizeBytes);
  let finished = false;
  return {
    async read(into) {
      throwIfAborted(signal);
      const wanted = Math.min(into.length, record.sizeBytes - check.sizeBytes);
      if (wanted === 0) {
        if (!finished && into.length > 0) check.finish(record);
        finished = true;
        return 0;
      }
      const view = into.subarray(0, wanted);
      await access.readAt(view, dataStart + check.sizeBytes);
      check.update(view);
      return wanted;
    },
    async close() {},
  };
}

/** A deflated entry: inflated in small steps, checked to end exactly where its data does. */
export function openDeflated(
  access: RandomAccess,
  record: DirectoryRecord,
  dataStart: number,
  signal: AbortSignal | undefined,
): SourceReader {
  const { name: archive } = access;
  const { name: entry, compressedBytes } = record;
  const check = createEntryCheck(archive, entry, record.sizeBytes);
  const inflater = createInflater(archive, entry);
  const ready: Uint8Array[] = [];
  let taken = 0;
  let finished = false;
  const fill = async (): Promise<void> => {
    const step = Math.min(INFLATE_STEP_BYTES, compressedBytes - taken);
    if (step === 0) {
      if (!inflater.ended) {
        throw zipInvalid(archive, `the end of "${entry}"`, `none in ${compressedBytes} bytes`, {
          entry,
        });
      }
      if (inflater.unusedBytes > 0) {
        const got = `${inflater.unusedBytes} bytes behind it`;
        throw zipInvalid(archive, `"${entry}" to end with its data`, got, { entry });
      }
      check.finish(record);
      finished = true;
      return;
    }
    // A buffer of its own: the inflater keeps what it cannot use yet.
    const bytes = new Uint8Array(step);
    await access.readAt(bytes, dataStart + taken);
    taken += step;
    for (const piece of inflater.push(bytes)) {
      check.update(piece);
      ready.push(piece);
    }
  };
  return {
    async read(into) {
      if (into.length === 0) return 0;
      while (ready.length === 0 && !finished) {
        throwIfAborted(signal);
        await fill();
      }
      return takeInto(into, ready);
    },
    async close() {
      ready.length = 0;
      finished = true;
    },
  };
}
