import type { ByteRange, CasClient } from '../../src/client/ports.js';

/** Bytes of the range with this index in those that were asked; valid until the next step. */
export interface RangePart {
  readonly rangeIndex: number;
  readonly bytes: Uint8Array;
}

/** What a store's reader of ranges gives, piece by piece. */
export async function* rangeParts(
  cas: Pick<CasClient, 'readRanges'>,
  url: string,
  ranges: readonly ByteRange[],
  signal?: AbortSignal,
): AsyncGenerator<RangePart, void, undefined> {
  const reader = cas.readRanges(url, ranges, { signal });
  const buffer = new Uint8Array(256 * 1024);
  try {
    for (let count = await reader.fill(buffer); count > 0; count = await reader.fill(buffer)) {
      yield { rangeIndex: reader.rangeIndex, bytes: buffer.subarray(0, count) };
    }
  } finally {
    reader.cancel();
  }
}
