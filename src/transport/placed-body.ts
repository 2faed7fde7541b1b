import type { ByteRange } from '../client/ports.js';
import { multipartBoundary, parseContentRange } from './content-range.js';
import type { Received } from './context.js';
import { failure } from './failures.js';
import { createMultipartReader, type MultipartReader } from './multipart.js';
import type { RangeCutter } from './range-cutter.js';

/**
 * A body whose bytes have places in an object: one range, several, or all of it. What is wanted of it
 * goes to the reader's memory, straight from the wire where the body is one piece.
 */
export interface PlacedBody {
  /**
   * Writes the next wanted bytes to the start of `into` and tells the cutter; 0: none comes any more.
   * @throws AttemptFailure; OrbweaverError `PROTOCOL`
   */
  read(cutter: RangeCutter, into: Uint8Array): Promise<number>;
  /**
   * All that was wanted is there: reads a short rest, so that the connection can be kept. Resolves
   * when that is over; never rejects.
   */
  finish(): Promise<void>;
  cancel(): void;
}

/** Beyond what the object may have, for the frames of parts; more is not read, whatever is sent. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** A whole object in response to several ranges is read if it wastes no more than this. */
const MAX_WASTE_BYTES = 1024 * 1024;
/** Rest of a body that is read after the last wanted byte. */
const MAX_REST_BYTES = 64 * 1024;
const SCRATCH_BYTES = 64 * 1024;

/** What the bytes are of. */
interface PlacedObject {
  /** For messages. */
  readonly name: string;
  /** Most bytes that it may have. */
  readonly maxBytes: number;
}

/** Null for a whole object that is not worth reading for the few ranges asked; it is cancelled. */
export function placedBody(
  received: Received,
  asked: readonly ByteRange[],
  object: PlacedObject,
): PlacedBody | null {
  const { response, call } = received;
  const { headers, status } = response;
  const boundary = multipartBoundary(headers['content-type'] ?? '');
  if (boundary !== null)
    return new Placed(received, 0, object, { multipart: createMultipartReader(boundary) });
  const [first] = asked as readonly [ByteRange, ...ByteRange[]];
  const range = parseContentRange(headers['content-range'] ?? '');
  const lengthText = headers['content-length'];
  const lengthBytes = lengthText === undefined ? null : Number(lengthText);
  if (range !== null) {
    if (lengthBytes === null || lengthBytes === range.end - range.start) {
      return new Placed(received, range.start, object, { announcedBytes: range.end - range.start });
    }
    response.body?.cancel();
    const message = `"content-length" of ${object.name} expected ${range.end - range.start} as in Content-Range, got ${lengthBytes}`;
    throw failure(call, 'PROTOCOL', message, { retry: false });
  }
  // Where the bytes belong must be readable, or not be said at all: a range carries no hash.
  if (status === 206 && headers['content-range'] !== undefined) {
    response.body?.cancel();
    const message = `"content-range" of ${object.name} expected a byte range, got something else`;
    throw failure(call, 'PROTOCOL', message, { retry: false });
  }
  // 200: some servers respond to a URL that stands for one range with just that range. The whole
  // object cannot be that short, because the range ends inside of it.
  const isJustIt = asked.length === 1 && lengthBytes === first.end - first.start;
  if (status === 206 || isJustIt) return new Placed(received, first.start, object);
  const askedBytes = asked.reduce((sum, { start, end }) => sum + end - start, 0);
  const wasteful = lengthBytes !== null && lengthBytes > askedBytes + MAX_WASTE_BYTES;
  if (asked.length === 1 || !wasteful) return new Placed(received, 0, object);
  response.body?.cancel();
  return null;
}

class Placed implements PlacedBody {
  readonly #received: Received;
  readonly #object: PlacedObject;
  readonly #multipart: MultipartReader | null;
  /** Bytes that come, if the server has said so. */
  #announcedBytes: number;
  #offset: number;
  #receivedBytes = 0;
  #scratch: Uint8Array | null = null;
  /** Bytes of a part of a multipart body, in the scratch buffer, that nobody has taken. */
  #pieces: { offset: number; bytes: Uint8Array }[] = [];

  constructor(
    received: Received,
    offset: number,
    object: PlacedObject,
    {
      multipart = null,
      announcedBytes = Number.POSITIVE_INFINITY,
    }: { readonly multipart?: MultipartReader | null; readonly announcedBytes?: number } = {},
  ) {
    this.#received = received;
    this.#object = object;
    this.#offset = offset;
    this.#multipart = multipart;
    this.#announcedBytes = announcedBytes;
  }

  read(cutter: RangeCutter, into: Uint8Array): Promise<number> {
    return this.#multipart === null
      ? this.#readPlain(cutter, into)
      : this.#readParts(cutter, this.#multipart, into);
  }

  async finish(): Promise<void> {
    const { body } = this.#received.response;
    if (body === null) return;
    try {
      const { sizeBytes } = body;
      const leftBytes = sizeBytes === undefined ? 0 : sizeBytes - this.#receivedBytes;
      // Mostly nothing is left, and only the end has to be seen.
      const scratch = new Uint8Array(sizeBytes !== undefined && leftBytes === 0 ? 1 : 4096);
      for (let restBytes = leftBytes; restBytes <= MAX_REST_BYTES; restBytes += scratch.length) {
        if ((await body.fill(scratch)) === 0) return;
      }
    } catch {
      // Nothing of it was wanted.
    }
    body.cancel();
  }

  cancel(): void {
    this.#received.response.body?.cancel();
  }

  async #readPlain(cutter: RangeCutter, into: Uint8Array): Promise<number> {
    for (;;) {
      const { offset, lengthBytes } = cutter.next;
      if (this.#offset > offset) return 0;
      const skipBytes = offset - this.#offset;
      if (skipBytes > 0) {
        const count = await this.#fill(this.#scratchBuffer().subarray(0, skipBytes));
        if (count === 0) return 0;
        continue;
      }
      const count = await this.#fill(atMost(into, lengthBytes));
      cutter.advance(count);
      return count;
    }
  }

  async #readParts(
    cutter: RangeCutter,
    reader: MultipartReader,
    into: Uint8Array,
  ): Promise<number> {
    const scratch = this.#scratchBuffer();
    for (;;) {
      for (let piece = this.#pieces[0]; piece !== undefined; piece = this.#pieces[0]) {
        const { offset, lengthBytes } = cutter.next;
        const from = offset - piece.offset;
        if (from < 0 || from >= piece.bytes.length || cutter.done) {
          this.#pieces.shift();
          continue;
        }
        const bytes = piece.bytes.subarray(from, from + Math.min(lengthBytes, into.length));
        into.set(bytes);
        cutter.advance(bytes.length);
        return bytes.length;
      }
      const count = await this.#fill(scratch);
      if (count === 0) return 0;
      this.#pieces = reader.push(scratch.subarray(0, count));
    }
  }

  async #fill(into: Uint8Array): Promise<number> {
    const { body } = this.#received.response;
    const view = atMost(into, this.#announcedBytes - this.#receivedBytes);
    if (body === null || view.length === 0) return 0;
    const count = await body.fill(view);
    this.#receivedBytes += count;
    this.#offset += count;
    const { name, maxBytes } = this.#object;
    if (this.#receivedBytes > maxBytes + MAX_FRAME_BYTES) {
      body.cancel();
      const message = `"body" of ${name} expected at most ${maxBytes + MAX_FRAME_BYTES} bytes, got more`;
      throw failure(this.#received.call, 'PROTOCOL', message, { retry: false });
    }
    return count;
  }

  #scratchBuffer(): Uint8Array {
    this.#scratch ??= new Uint8Array(SCRATCH_BYTES);
    return this.#scratch;
  }
}

/** A view costs more than a comparison. */
function atMost(into: Uint8Array, bytes: number): Uint8Array {
  return into.length <= bytes ? into : into.subarray(0, bytes);
}
