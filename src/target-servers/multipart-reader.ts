/** A multipart body as it arrives: the parts in order, each a head and a stream of bytes. */

/** One part. Its body is read to its end before the next part is asked for. */
export interface ReceivedPart {
  /** `name` of the Content-Disposition. */
  readonly name: string;
  /** `filename` of it, or null when there is none. */
  readonly fileName: string | null;
  readonly contentType: string | null;
  readonly body: AsyncGenerator<Uint8Array, void, undefined>;
}

const CRLF = Buffer.from('\r\n');
const BLANK_LINE = Buffer.from('\r\n\r\n');
/** A head longer than this is none. */
const MAX_HEAD_BYTES = 16 * 1024;

/** The boundary that a Content-Type names, or null when it is not multipart. */
export function boundaryOf(contentType: string | undefined): string | null {
  const match =
    /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(
      contentType ?? '',
    );
  return match === null ? null : (match[1] ?? match[2] ?? null);
}

/** @throws Error `unexpected EOF` when the body ends before its last boundary, or a head is broken */
export async function* readMultipart(
  pieces: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<ReceivedPart, void, undefined> {
  const input = pieces[Symbol.asyncIterator]();
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // The first boundary has no line before it.
  let held: Buffer = CRLF;

  const more = async (): Promise<void> => {
    const next = await input.next();
    if (next.done === true) throw new Error('multipart: NextPart: unexpected EOF');
    held = held.length === 0 ? Buffer.from(next.value) : Buffer.concat([held, next.value]);
  };

  /** Bytes up to the next boundary, which is taken from the input as well. */
  async function* untilBoundary(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const at = held.indexOf(delimiter);
      const certain = at >= 0 ? at : held.length - delimiter.length + 1;
      if (certain > 0) yield held.subarray(0, certain);
      if (certain > 0 || at === 0) held = held.subarray(Math.max(0, certain));
      if (at >= 0) {
        held = held.subarray(delimiter.length);
        return;
      }
      await more();
    }
  }

  for await (const _preamble of untilBoundary());
  for (;;) {
    while (held.length < 2) await more();
    if (held.subarray(0, 2).toString('latin1') === '--') return;
    while (held.indexOf(BLANK_LINE) < 0) {
      if (held.length > MAX_HEAD_BYTES) throw new Error('multipart: head too long');
      await more();
    }
    const end = held.indexOf(BLANK_LINE);
    const head = headOf(held.subarray(0, end).toString('utf8'));
    held = held.subarray(end + BLANK_LINE.length);
    const body = untilBoundary();
    yield { ...head, body };
    for await (const _rest of body);
  }
}

function headOf(text: string): Pick<ReceivedPart, 'name' | 'fileName' | 'contentType'> {
  const line = (name: string): string | null =>
    new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(text)?.[1]?.trim() ?? null;
  const disposition = line('content-disposition') ?? '';
  const parameter = (name: string): string | null => {
    const value = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, 'i').exec(disposition)?.[1];
    if (value === undefined) return null;
    // Browsers and Go percent-encode quotes and line ends; RFC 2616 escapes them.
    return value.replace(/\\(.)/g, '$1').replace(/%22/g, '"');
  };
  return {
    name: parameter('name') ?? '',
    fileName: parameter('filename'),
    contentType: line('content-type'),
  };
}
