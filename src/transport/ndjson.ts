/**
 * Lines of a byte stream, for newline-delimited JSON. A line is bounded before it is put together,
 * a last line without a newline counts, empty lines do not.
 */
export async function* readLines(
  pieces: AsyncIterable<Uint8Array>,
  limitBytes: number,
  tooLong: () => Error,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (part: Uint8Array): void => {
    length += part.length;
    if (length > limitBytes) throw tooLong();
    // Copied: the piece is only borrowed until the next one is asked for.
    parts.push(part.slice());
  };
  const finish = (): string => {
    const line = decoder.decode(Buffer.concat(parts)).trim();
    parts = [];
    length = 0;
    return line;
  };
  for await (const piece of pieces) {
    let start = 0;
    for (;;) {
      const newline = piece.indexOf(10, start);
      if (newline < 0) break;
      take(piece.subarray(start, newline));
      start = newline + 1;
      const line = finish();
      if (line !== '') yield line;
    }
    if (start < piece.length) take(piece.subarray(start));
  }
  const last = finish();
  if (last !== '') yield last;
}
