/** Values are settings, refs and the like; what is larger is an object that a value names. */
export const MAX_VALUE_BYTES: number = 1024 * 1024;

/** @throws RangeError */
export function checkValue(bytes: Uint8Array): void {
  if (bytes.length <= MAX_VALUE_BYTES) return;
  throw new RangeError(`a value expected at most ${MAX_VALUE_BYTES} bytes, got ${bytes.length}`);
}
