import { type Body, piecesOf } from '../http/index.js';

/** One line of a stream. */
export interface Line {
  readonly text: string;
  /** False for a last line without a line end, which may have been cut. */
  readonly isWhole: boolean;
}

/**
 * Lines of a body, for newline-delimited JSON. A line is bounded before it is put together, a last
 * line without a newline counts, empty lines do not.
 */
export async function* readLines(
  body: Body | null,
  limitBytes: number,
  tooLong: () => Error,
): AsyncGenerator<Line, void, undefined> {
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length > limitBytes) throw tooLong();
    text += decoder.decode(part, { stream: true });
  };
  const finish = (): string => {
    const line = (text + decoder.decode()).trim();
    text = '';
    length = 0;
    return line;
  };
  for await (const piece of piecesOf(body, new Uint8Array(READ_BYTES))) {
    let start = 0;
    for (;;) {
      const newline = piece.indexOf(10, start);
      if (newline < 0) break;
      take(piece.subarray(start, newline));
      start = newline + 1;
      const line = finish();
      if (line !== '') yield { text: line, isWhole: true };
    }
    if (start < piece.length) take(piece.subarray(start));
  }
  const last = finish();
  if (last !== '') yield { text: last, isWhole: false };
}

const READ_BYTES = 16 * 1024;
