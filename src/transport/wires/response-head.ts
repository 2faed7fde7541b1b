import { isBodiless } from './bodies.js';

/** The status line and headers of a response of HTTP/1. */
export interface ResponseHead {
  readonly status: number;
  /** Values by lower-case name; lines of one name are joined. */
  readonly headers: Readonly<Record<string, string>>;
  readonly framing: Framing;
  /** Another request may follow on the connection. */
  readonly keepsAlive: boolean;
}

/** How the end of the body is found. */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly sizeBytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'close' };

/** Bytes of a head; servers of xorb data send some hundreds. */
export const MAX_HEAD_BYTES: number = 32 * 1024;

/** Length of the head in `bytes` with the empty line behind it, or -1 when its end is not there. */
export function headLength(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return -1;
}

/**
 * Reads a head as RFC 9112 has it; lines may end with a bare LF (section 2.2). Folded lines, lengths
 * that contradict each other and codings other than `chunked` give null, because two readers could
 * see two things in it.
 */
export function parseHead(text: string, method = 'GET'): ResponseHead | null {
  const lines = text.split(/\r?\n/);
  const first = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/.exec(lines[0] ?? '');
  if (first === null || lines.at(-1) !== '' || lines.at(-2) !== '') return null;
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines.slice(1, -2)) {
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/.exec(
      line,
    );
    if (field === null) return null;
    const name = (field[1] as string).toLowerCase();
    const value = field[2] as string;
    if (name === 'content-length' && headers[name] !== undefined) {
      if (headers[name] !== value) return null;
    } else headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const status = Number(first[2]);
  const framing = framingOf(method, status, headers);
  if (framing === null) return null;
  const said = (headers['connection'] ?? '').toLowerCase().split(/[\t ]*,[\t ]*/);
  const keepsAlive =
    framing.kind !== 'close' &&
    !said.includes('close') &&
    (first[1] === '1' || said.includes('keep-alive'));
  return { status, headers, framing, keepsAlive };
}

/** RFC 9112, section 6.3. */
function framingOf(
  method: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Framing | null {
  if (isBodiless(method, status) || status < 200) return { kind: 'none' };
  const coding = headers['transfer-encoding'];
  const length = headers['content-length'];
  if (coding !== undefined) {
    return coding.toLowerCase() === 'chunked' && length === undefined ? { kind: 'chunked' } : null;
  }
  if (length === undefined) return { kind: 'close' };
  if (!/^\d{1,15}$/.test(length)) return null;
  return length === '0' ? { kind: 'none' } : { kind: 'length', sizeBytes: Number(length) };
}
