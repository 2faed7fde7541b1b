import type { FetchedPart, RangeReader, ReadRangesOptions } from '../../src/client/ports.js';

/** A reader over parts that come in buffers of others. */
export function rangeReaderOf(
  start: (signal: AbortSignal) => AsyncIterable<FetchedPart>,
  { signal, onRequest }: ReadRangesOptions,
): RangeReader {
  const controller = new AbortController();
  let parts: AsyncIterator<FetchedPart> | undefined;
  let rest: Uint8Array = new Uint8Array(0);
  let rangeIndex = 0;
  return {
    get rangeIndex() {
      return rangeIndex;
    },
    async fill(into) {
      if (parts === undefined) {
        onRequest?.();
        const both =
          signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
        parts = start(both)[Symbol.asyncIterator]();
      }
      while (rest.length === 0) {
        const step = await parts.next();
        if (step.done === true) return 0;
        rest = step.value.bytes;
        rangeIndex = step.value.rangeIndex;
      }
      const count = Math.min(into.length, rest.length);
      into.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    cancel: () => controller.abort(),
  };
}
