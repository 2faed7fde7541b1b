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
  pieces(): AsyncGenerator<Uint8Array>;
}

/** `Content-Range` of one range. */
export function contentRange({ start, end }: ByteSpan, totalBytes: number): string {
  return `bytes ${start}-${end - 1}/${totalBytes}`;
}

/** The ranges in the order given; `read` is called for one after another while the body is read. */
export function multipartBody(options: {
  ranges: readonly ByteSpan[];
  totalBytes: number;
  boundary: string;
  read: (range: ByteSpan) => AsyncIterable<Uint8Array>;
}): MultipartBody {
  const { ranges, totalBytes, boundary, read } = options;
  const encoder = new TextEncoder();
  const heads = ranges.map((range) =>
    encoder.encode(
      `--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
        `Content-Range: ${contentRange(range, totalBytes)}\r\n\r\n`,
    ),
  );
  const afterPart = encoder.encode('\r\n');
  const end = encoder.encode(`--${boundary}--\r\n`);
  let lengthBytes = end.length;
  for (const [index, range] of ranges.entries()) {
    lengthBytes += (heads[index] as Uint8Array).length + afterPart.length;
    lengthBytes += range.end - range.start;
  }
  return {
    contentType: `multipart/byteranges; boundary=${boundary}`,
    lengthBytes,
    async *pieces(): AsyncGenerator<Uint8Array> {
      for (const [index, range] of ranges.entries()) {
        yield heads[index] as Uint8Array;
        yield* read(range);
        yield afterPart;
      }
      yield end;
    },
  };
}
