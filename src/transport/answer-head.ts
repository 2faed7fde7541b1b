/** The status line and headers of an HTTP/1.1 answer, as far as a plain ranged answer needs them. */
export interface AnswerHead {
  readonly status: number;
  /** Values by lower-case name; null for a name that came more than once. */
  readonly headers: ReadonlyMap<string, string | null>;
}

/** Bytes of a head; servers of xorb data send some hundreds. */
export const MAX_HEAD_BYTES: number = 32 * 1024;

/** Length of the head in `bytes` with the empty line behind it, or -1 when its end is not there. */
export function headLength(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}

/**
 * Reads a head strictly: folded lines, other versions of HTTP and anything else that is unusual
 * give null, because two readers could see two things in it.
 */
export function parseHead(text: string): AnswerHead | null {
  const lines = text.split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(lines[0] ?? '')?.[1];
  if (status === undefined || lines.at(-1) !== '' || lines.at(-2) !== '') return null;
  const headers = new Map<string, string | null>();
  for (const line of lines.slice(1, -2)) {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/.exec(
      line,
    );
    if (field === null) return null;
    const name = (field[1] as string).toLowerCase();
    headers.set(name, headers.has(name) ? null : (field[2] as string));
  }
  return { status: Number(status), headers };
}

/**
 * True when the answer is the asked range as it is, of known length and in no coding: what can be
 * read into memory without looking at it.
 */
export function isPlainRange(
  { status, headers }: AnswerHead,
  range: { readonly start: number; readonly end: number },
): boolean {
  const place = /^bytes (\d{1,16})-(\d{1,16})\/(?:\d{1,16}|\*)$/i.exec(
    headers.get('content-range') ?? '',
  );
  const encoding = headers.get('content-encoding');
  return (
    status === 206 &&
    place !== null &&
    Number(place[1]) === range.start &&
    Number(place[2]) === range.end - 1 &&
    headers.get('content-length') === String(range.end - range.start) &&
    !headers.has('transfer-encoding') &&
    (encoding === undefined || encoding?.toLowerCase() === 'identity')
  );
}

/** True when another request may follow on the connection. */
export function keepsAlive({ headers }: AnswerHead): boolean {
  const connection = headers.get('connection');
  return connection === undefined || connection?.toLowerCase() === 'keep-alive';
}
