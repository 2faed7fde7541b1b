/**
 * Conditional requests on stored xorb data. Objects are immutable, so an entity tag is the name of
 * the object and its length; there are no dates.
 */

/** A strong tag. The length tells apart two packings of the same chunks, stored at different times. */
export function entityTag(hash: string, recordsBytes: number): string {
  return `"${hash}-${recordsBytes}"`;
}

/** True when `If-None-Match` names this tag (or anything): the response is 304. */
export function isNotModified(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  return ifNoneMatch
    .split(',')
    .map((text) => text.trim().replace(/^W\//, ''))
    .includes(tag);
}

/** The Range header to honour: none when `If-Range` names another version of the object. */
export function effectiveRange(
  range: string | undefined,
  ifRange: string | undefined,
  tag: string,
): string | undefined {
  return ifRange === undefined || ifRange.trim() === tag ? range : undefined;
}
