import { OrbweaverError } from '../../errors.js';
import type { ObjectBody, ObjectRange } from '../ports.js';

/** The pieces of any form of body, in order. */
export async function* bodyPieces(body: ObjectBody): AsyncGenerator<Uint8Array> {
  if (body instanceof Uint8Array) yield body;
  else yield* body;
}

/**
 * The range to read of an object of `sizeBytes`: all of it by default.
 * @throws RangeError for a range that is none, OrbweaverError `TRUNCATED` when the object is shorter
 */
export function checkRange(
  key: string,
  range: ObjectRange | undefined,
  sizeBytes: number,
): ObjectRange {
  if (range === undefined) return { start: 0, end: sizeBytes };
  const { start, end } = range;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new RangeError(`"range" expected 0 <= start <= end, got ${start}, ${end}`);
  }
  if (end > sizeBytes) {
    throw new OrbweaverError(
      'TRUNCATED',
      `object "${key}" expected at least ${end} bytes, got ${sizeBytes}`,
      { key, expected: end, sizeBytes },
    );
  }
  return range;
}

/** Copies bytes of an object in memory from `offset` on. @throws OrbweaverError `TRUNCATED` */
export function fillFrom(key: string, bytes: Uint8Array, into: Uint8Array, offset: number): void {
  checkRange(key, { start: offset, end: offset + into.length }, bytes.length);
  into.set(bytes.subarray(offset, offset + into.length));
}
