import type { Body } from '../../http/index.js';

/** A multipart/form-data body with one file in it, which is passed on as it comes. */

export interface FilePartOptions {
  /** Name of the form field. */
  readonly field: string;
  readonly fileName: string;
  /** @default application/octet-stream */
  readonly contentType?: string | undefined;
  /** Must not occur in the file: random, so that it does not. */
  readonly boundary: string;
  readonly file: Body;
  /** Length of `file`, bytes. */
  readonly sizeBytes: number;
  /** Called with the bytes of the file as they go out: a view, valid for the call. */
  readonly onBytes?: ((bytes: Uint8Array) => void) | undefined;
}

/** The value of Content-Type that belongs to it. */
export function multipartType(boundary: string): string {
  return `multipart/form-data; boundary=${boundary}`;
}

/** A body of known length; it can be sent once. */
export function filePartBody(options: FilePartOptions): Body {
  const { field, fileName, contentType = 'application/octet-stream', boundary, file } = options;
  const encoder = new TextEncoder();
  const head = encoder.encode(
    `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(field)}"; filename="${quoted(fileName)}"\r\nContent-Type: ${contentType}\r\n\r\n`,
  );
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);
  let before: Uint8Array = head;
  let after: Uint8Array = tail;
  let fileEnded = false;
  const take = (from: Uint8Array, into: Uint8Array): Uint8Array => {
    const piece = from.subarray(0, into.length);
    into.set(piece);
    return from.subarray(piece.length);
  };
  return {
    sizeBytes: head.length + options.sizeBytes + tail.length,
    async fill(into) {
      if (before.length > 0) {
        const left = take(before, into);
        const count = before.length - left.length;
        before = left;
        return count;
      }
      if (!fileEnded) {
        const count = await file.fill(into);
        if (count > 0) {
          options.onBytes?.(into.subarray(0, count));
          return count;
        }
        fileEnded = true;
      }
      const left = take(after, into);
      const count = after.length - left.length;
      after = left;
      return count;
    },
    cancel: (reason) => file.cancel(reason),
  };
}

/** As browsers and Go write it: a quote or backslash must not end the parameter. */
function quoted(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"');
}
