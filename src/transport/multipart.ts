import { OrbweaverError } from '../errors.js';
import { parseContentRange } from './content-range.js';

/**
 * Streaming reader of `multipart/byteranges` (RFC 9110, 14.6). It gives out the data of the parts as
 * it arrives, as views, with the place each piece has in the object:
 *
 *     preamble CRLF --B CRLF header CRLF header CRLF CRLF <data> CRLF --B CRLF … CRLF --B--
 *
 * The length of the data comes from `Content-Range`, so data is never searched for the boundary.
 * Parts may come in any order and may be joined; the caller cuts what it needs out of them.
 */
export interface MultipartReader {
  /**
   * Takes the next bytes of the body. The pieces are views of them.
   * @throws OrbweaverError `PROTOCOL`
   */
  push(bytes: Uint8Array): PlacedBytes[];
  /** True after the closing delimiter. */
  readonly ended: boolean;
}

/** Bytes and where they stand in the object. */
export interface PlacedBytes {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Lines (delimiters and part headers) of a sane server are far shorter. */
const MAX_LINE_BYTES = 8192;
/** Lines before the first delimiter and in the headers of one part. */
const MAX_LINES = 64;

export function createMultipartReader(boundary: string): MultipartReader {
  const delimiter = `--${boundary}`;
  const decoder = new TextDecoder();
  let state: 'preamble' | 'delimiter' | 'headers' | 'data' | 'ended' = 'preamble';
  let line: number[] = [];
  let lineCount = 0;
  let offset = -1;
  let end = -1;

  const takeLine = (text: string): void => {
    if (++lineCount > MAX_LINES) throw invalid('part headers', `at most ${MAX_LINES} lines`);
    if (state === 'headers') {
      if (text === '') {
        if (offset < 0) throw invalid('Content-Range', 'a byte range in each part');
        state = 'data';
        return;
      }
      const colon = text.indexOf(':');
      if (colon < 0 || text.slice(0, colon).trim().toLowerCase() !== 'content-range') return;
      const range = parseContentRange(text.slice(colon + 1));
      if (range === null) throw invalid('Content-Range', 'a byte range in each part');
      offset = range.start;
      end = range.end;
    } else if (text === `${delimiter}--`) state = 'ended';
    else if (text === delimiter) {
      state = 'headers';
      lineCount = 0;
      offset = -1;
    } else if (state === 'delimiter' && text !== '') {
      throw invalid('part', 'the length that its Content-Range says');
    }
  };

  return {
    get ended() {
      return state === 'ended';
    },
    push(bytes) {
      const placed: PlacedBytes[] = [];
      let at = 0;
      while (at < bytes.length && state !== 'ended') {
        if (state === 'data') {
          const length = Math.min(end - offset, bytes.length - at);
          placed.push({ offset, bytes: bytes.subarray(at, at + length) });
          offset += length;
          at += length;
          if (offset === end) {
            state = 'delimiter';
            lineCount = 0;
          }
          continue;
        }
        const byte = bytes[at++] as number;
        if (byte !== 10) {
          if (line.length === MAX_LINE_BYTES) {
            throw invalid('line', `at most ${MAX_LINE_BYTES} bytes`);
          }
          line.push(byte);
          continue;
        }
        const text = decoder.decode(Uint8Array.from(line)).trimEnd();
        line = [];
        takeLine(text);
      }
      return placed;
    },
  };
}

function invalid(field: string, expected: string): OrbweaverError {
  return new OrbweaverError(
    'PROTOCOL',
    `"${field}" of multipart/byteranges expected ${expected}, got something else`,
    { field },
  );
}
