/**
 * The key grammar, in one place: whatever a store makes of a key (a path, an S3 key) is safe because
 * no key with a slash too many, a dot in front, an upper-case or a control character ever gets there.
 */

const SEGMENT = '[a-z0-9][a-z0-9._-]{0,127}';
const KEY = new RegExp(`^${SEGMENT}(?:/${SEGMENT}){1,4}$`);
const PREFIX = new RegExp(`^(?:${SEGMENT}/){1,4}$`);

/** True for two to five safe segments joined by `/`. */
export function isObjectKey(key: string): boolean {
  return KEY.test(key);
}

/** Segments of a key. @throws RangeError for anything that is no key */
export function keySegments(key: string): readonly string[] {
  if (!isObjectKey(key)) throw new RangeError(`"key" is no object key: ${JSON.stringify(key)}`);
  return key.split('/');
}

/** Segments of a listing prefix, one to four. @throws RangeError */
export function prefixSegments(prefix: string): readonly string[] {
  if (!PREFIX.test(prefix)) {
    throw new RangeError(`"prefix" is no key prefix: ${JSON.stringify(prefix)}`);
  }
  return prefix.slice(0, -1).split('/');
}

/** Below `tenants/<tenant>/` lies what lies at the root of a store. */
const TENANTS = 'tenants';

/** Characters of the second segment that name the fan-out folder. */
export const FAN_OUT_LENGTH = 2;

/**
 * Where a key lies below the store's folder: `xorbs/abcd…` is `xorbs/ab/abcd…`, so that no folder
 * holds more than 1/256 of the objects. A second segment of one character is its own folder name.
 */
export function pathSegments(segments: readonly string[]): readonly string[] {
  const [first, second, ...rest] = segments as [string, string?, ...string[]];
  if (second === undefined) return [first];
  if (first === TENANTS && rest.length > 0) return [first, second, ...pathSegments(rest)];
  return [first, second.slice(0, FAN_OUT_LENGTH), second, ...rest];
}

/** What {@link pathSegments} made of a key: the fan-out folder drops out. */
export function keyOfPath(segments: readonly string[]): string {
  const [first, second, ...rest] = segments as [string, string, ...string[]];
  if (first === TENANTS) return `${first}/${second}/${keyOfPath(rest)}`;
  return [first, ...rest].join('/');
}
