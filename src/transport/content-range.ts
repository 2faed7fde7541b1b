/** `Content-Range: bytes start-end/total` as a half-open range. */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  /** Bytes of the whole object, or null for `*`. */
  readonly totalBytes: number | null;
}

/** Null when the header is not a satisfied byte range. */
export function parseContentRange(header: string): ContentRange | null {
  const match = /^\s*bytes\s+(\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)\s*$/i.exec(header);
  if (match === null) return null;
  const [, first, last, total] = match as unknown as [string, string, string, string];
  const start = Number(first);
  const end = Number(last) + 1;
  const totalBytes = total === '*' ? null : Number(total);
  if (end <= start || (totalBytes !== null && end > totalBytes)) return null;
  return { start, end, totalBytes };
}

/** The boundary of a `multipart/byteranges` content type, or null for any other type. */
export function multipartBoundary(contentType: string): string | null {
  if (!/^\s*multipart\/byteranges\s*(?:;|$)/i.test(contentType)) return null;
  const match = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(contentType);
  if (match === null) return null;
  const boundary = match[1]?.replace(/\\(.)/g, '$1') ?? match[2] ?? '';
  return boundary.length >= 1 && boundary.length <= 200 ? boundary : null;
}
