/**
 * Byte ranges as HTTP writes them (end inclusive) and as the project means them (half-open). Pure:
 * text in, numbers out.
 */

/** Bytes `[start, end)`. */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

/** What a Range header asks of a thing of known size. */
export type RangeRequest =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteSpan[] };

/** Ranges in one request that are still served; about what 8 KiB of URL can sign is 500. */
export const MAX_RANGES_PER_REQUEST = 1024;

// 16 digits stay below 2^53 only up to 9007199254740991: checked after parsing.
const RANGE_HEADER = /^bytes=(.*)$/i;
const ONE_RANGE = /^[ \t]*(\d{0,16})-(\d{0,16})[ \t]*$/;

/**
 * Reads `bytes=a-b`, `bytes=a-`, `bytes=-n` or a comma-separated list of them against `sizeBytes`.
 * Ends are clamped to the size unless `clampEnd` is false. A list of which any member starts past the
 * end is unsatisfiable: a part that is silently missing would be a wrong response here. Order and
 * overlaps are kept.
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
  { clampEnd = true }: { clampEnd?: boolean } = {},
): RangeRequest {
  if (header === undefined) return { kind: 'none' };
  const list = RANGE_HEADER.exec(header.trim())?.[1];
  if (list === undefined) return { kind: 'malformed' };
  const texts = list.split(',');
  if (texts.length > MAX_RANGES_PER_REQUEST) return { kind: 'malformed' };
  const ranges: ByteSpan[] = [];
  let unsatisfiable = false;
  for (const text of texts) {
    const range = parseOne(text, sizeBytes, clampEnd);
    if (range === 'malformed') return { kind: 'malformed' };
    if (range === 'unsatisfiable') unsatisfiable = true;
    else ranges.push(range);
  }
  return unsatisfiable ? { kind: 'unsatisfiable' } : { kind: 'ranges', ranges };
}

function parseOne(
  text: string,
  sizeBytes: number,
  clampEnd: boolean,
): ByteSpan | 'malformed' | 'unsatisfiable' {
  const match = ONE_RANGE.exec(text);
  if (match === null) return 'malformed';
  const first = match[1] as string;
  const last = match[2] as string;
  if (first === '') {
    if (last === '') return 'malformed';
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, end: sizeBytes };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes : Number(last) + 1;
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end)) return 'malformed';
  if (last !== '' && end <= start) return 'malformed';
  if (start >= sizeBytes) return 'unsatisfiable';
  return { start, end: clampEnd ? Math.min(end, sizeBytes) : end };
}

/** `a-b,c-d` with inclusive ends, as Range and X-Xet-Signed-Range write it. */
export function formatRanges(ranges: readonly ByteSpan[]): string {
  return ranges.map(({ start, end }) => `${start}-${end - 1}`).join(',');
}

/** The inverse of {@link formatRanges}, strict; null for anything else. */
export function parseSignedRanges(text: string): ByteSpan[] | null {
  const ranges: ByteSpan[] = [];
  for (const part of text.split(',')) {
    const match = /^(\d{1,15})-(\d{1,15})$/.exec(part);
    if (match === null) return null;
    const start = Number(match[1]);
    const end = Number(match[2]) + 1;
    if (end <= start) return null;
    ranges.push({ start, end });
  }
  return ranges;
}

/** True when every one of `asked` lies inside a single one of `allowed`. */
export function rangesInside(asked: readonly ByteSpan[], allowed: readonly ByteSpan[]): boolean {
  return asked.every((range) =>
    allowed.some(({ start, end }) => range.start >= start && range.end <= end),
  );
}

/** Bytes in all ranges together, counted as often as they are named. */
export function totalBytes(ranges: readonly ByteSpan[]): number {
  let total = 0;
  for (const { start, end } of ranges) total += end - start;
  return total;
}
