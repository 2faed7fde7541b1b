import type { BodyPart } from './object-body.js';
import type { ByteSpan } from './ranges.js';

/**
 * A `multipart/byteranges` body:
 *
 *     --B CRLF Content-Type: … CRLF Content-Range: bytes a-b/total CRLF CRLF data CRLF   each range
 *     --B-- CRLF
 */

/** The body and its length, known before a byte is read. */
export interface MultipartBody {
  readonly contentType: string;
  readonly lengthBytes: number;
  readonly parts: readonly BodyPart[];
}

/** `Content-Range` of one range. */
export function contentRange({ start, end }: ByteSpan, totalBytes: number): string {
  return `bytes ${start}-${end - 1}/${totalBytes}`;
}

/** The ranges in the order given, each with its head. */
export function multipartBody(options: {
  ranges: readonly ByteSpan[];
  totalBytes: number;
  boundary: string;
}): MultipartBody {
  const { ranges, totalBytes, boundary } = options;
  const encoder = new TextEncoder();
  const parts: BodyPart[] = [];
  let lengthBytes = 0;
  for (const [index, range] of ranges.entries()) {
    const head = encoder.encode(
      `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
        `Content-Range: ${contentRange(range, totalBytes)}\r\n\r\n`,
    );
    parts.push(head, range);
    lengthBytes += head.length + range.end - range.start;
  }
  const end = encoder.encode(`\r\n--${boundary}--\r\n`);
  parts.push(end);
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    lengthBytes: lengthBytes + end.length,
    parts,
  };
}
