/**
 * Takes the chunked coding off (RFC 9112, section 7.1), a piece at a time:
 *
 *     size [; extension] CRLF <size bytes> CRLF … 0 CRLF [trailer lines] CRLF
 */
export class ChunkedDecoder {
  #state: 'size' | 'data' | 'data-end' | 'trailer' | 'ended' = 'size';
  #line = '';
  #leftBytes = 0;
  #lineCount = 0;

  get ended(): boolean {
    return this.#state === 'ended';
  }

  /**
   * Writes what `bytes` hold to the start of `into`, as far as that goes.
   * @throws Error with the code `HPE_INVALID_CHUNK_SIZE` for anything that is not this coding
   */
  decode(
    bytes: Uint8Array,
    into: Uint8Array,
  ): { readonly takenBytes: number; readonly madeBytes: number } {
    let taken = 0;
    let made = 0;
    while (taken < bytes.length && this.#state !== 'ended') {
      if (this.#state !== 'data') {
        this.#takeByte(bytes[taken++] as number);
        continue;
      }
      const count = Math.min(this.#leftBytes, bytes.length - taken, into.length - made);
      if (count === 0) break;
      into.set(bytes.subarray(taken, taken + count), made);
      taken += count;
      made += count;
      this.#leftBytes -= count;
      if (this.#leftBytes === 0) this.#state = 'data-end';
    }
    return { takenBytes: taken, madeBytes: made };
  }

  #takeByte(byte: number): void {
    if (byte !== 10) {
      if (this.#line.length >= MOST_LINE_BYTES) throw invalid();
      this.#line += String.fromCharCode(byte);
      return;
    }
    const line = this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line;
    this.#line = '';
    if (this.#state === 'size') {
      const size = /^([0-9a-f]{1,12})[\t ]*(?:;.*)?$/i.exec(line)?.[1];
      if (size === undefined) throw invalid();
      this.#leftBytes = Number.parseInt(size, 16);
      this.#state = this.#leftBytes === 0 ? 'trailer' : 'data';
    } else if (this.#state === 'data-end') {
      if (line !== '') throw invalid();
      this.#state = 'size';
    } else if (line === '') this.#state = 'ended';
    else if (++this.#lineCount > MOST_TRAILER_LINES) throw invalid();
  }
}

const MOST_LINE_BYTES = 4096;
const MOST_TRAILER_LINES = 64;

function invalid(): Error {
  return Object.assign(new Error('the chunked coding is broken'), {
    code: 'HPE_INVALID_CHUNK_SIZE',
  });
}
