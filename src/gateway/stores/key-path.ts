/**
 * The key grammar, in one place: whatever a store makes of a key (a path, an S3 key) is safe because
 * no key with a slash too many, a dot in front, an upper-case or a control character ever gets there.
 */

const SEGMENT = '[a-z0-9][a-z0-9._-]{0,127}';
const KEY = new RegExp(`^${SEGMENT}(?:/${SEGMENT}){1,2}$`);
const PREFIX = new RegExp(`^(?:${SEGMENT}/){1,2}$`);

/** True for two or three safe segments joined by `/`. */
export function isObjectKey(key: string): boolean {
  return KEY.test(key);
}

/** Segments of a key. @throws RangeError for anything that is no key */
export function keySegments(key: string): readonly string[] {
  if (!isObjectKey(key)) throw new RangeError(`"key" is no object key: ${JSON.stringify(key)}`);
  return key.split('/');
}

/** Segments of a listing prefix, one or two. @throws RangeError */
export function prefixSegments(prefix: string): readonly string[] {
  if (!PREFIX.test(prefix)) {
    throw new RangeError(`"prefix" is no key prefix: ${JSON.stringify(prefix)}`);
  }
  return prefix.slice(0, -1).split('/');
}

/** Characters of the second segment that name the fan-out folder. */
export const FAN_OUT_LENGTH = 2;

/**
 * Where a key lies below the store's folder: `xorbs/abcd…` is `xorbs/ab/abcd…`, so that no folder
 * holds more than 1/256 of the objects. A second segment of one character is its own folder name.
 */
export function pathSegments(segments: readonly string[]): readonly string[] {
  const [first, second, ...rest] = segments as [string, string, ...string[]];
  return [first, second.slice(0, FAN_OUT_LENGTH), second, ...rest];
}
