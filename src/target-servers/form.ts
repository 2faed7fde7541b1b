/** One part of a `multipart/form-data` body. */
export interface FormPart {
  readonly name: string;
  /** Null: a field, not a file. */
  readonly fileName: string | null;
  readonly bytes: Uint8Array;
}

/**
 * Takes a whole `multipart/form-data` body apart. Null: it is none, as far as a strict server sees:
 *
 *     --B CRLF Content-Disposition: form-data; name="n"; filename="f" CRLF … CRLF CRLF bytes CRLF
 *     --B-- CRLF
 */
export function parseForm(contentType: string, body: Uint8Array): readonly FormPart[] | null {
  const boundary = /^multipart\/form-data\s*;.*\bboundary="?([^";]{1,70})"?/i.exec(
    contentType,
  )?.[1];
  if (boundary === undefined) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  if (!bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2))) return null;
  const parts: FormPart[] = [];
  for (let at = delimiter.length - 2; ; ) {
    if (bytes.toString('latin1', at, at + 2) === '--') return parts;
    const headEnd = bytes.indexOf('\r\n\r\n', at);
    const end = headEnd < 0 ? -1 : bytes.indexOf(delimiter, headEnd + 2);
    if (end < 0) return null;
    const part = partOf(bytes.toString('utf8', at + 2, headEnd), bytes.subarray(headEnd + 4, end));
    if (part === null) return null;
    parts.push(part);
    at = end + delimiter.length;
  }
}

function partOf(head: string, bytes: Uint8Array): FormPart | null {
  const disposition = /^content-disposition:\s*form-data(.*)$/im.exec(head)?.[1];
  const name = /;\s*name="([^"]*)"/i.exec(disposition ?? '')?.[1];
  if (disposition === undefined || name === undefined) return null;
  return { name, fileName: /;\s*filename="([^"]*)"/i.exec(disposition)?.[1] ?? null, bytes };
}
