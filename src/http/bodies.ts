import { OrbweaverError } from '../errors.js';
import type { Body } from './types.js';

/** Bodies of bytes that are there, and readers of bodies that are small enough to be held. */

/** A body of bytes in memory, one array or several that follow each other; they are borrowed. */
export function bytesBody(bytes: Uint8Array | readonly Uint8Array[]): Body {
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
  let sizeBytes = 0;
  for (const piece of pieces) sizeBytes += piece.length;
  let index = 0;
  let at = 0;
  const nextView = (maxBytes: number): Uint8Array => {
    for (let piece = pieces[index]; piece !== undefined; piece = pieces[index]) {
      if (at < piece.length) {
        const view = piece.subarray(at, at + maxBytes);
        at += view.length;
        return view;
      }
      index++;
      at = 0;
    }
    return NOTHING;
  };
  return {
    sizeBytes,
    nextView,
    async fill(into) {
      let filled = 0;
      while (filled < into.length) {
        const view = nextView(into.length - filled);
        if (view.length === 0) break;
        into.set(view, filled);
        filled += view.length;
      }
      return filled;
    },
    rewind() {
      index = 0;
      at = 0;
    },
    cancel() {
      index = pieces.length;
    },
  };
}

const NOTHING = new Uint8Array(0);

/** A text as UTF-8. */
export function textBody(text: string): Body {
  return bytesBody(new TextEncoder().encode(text));
}

/**
 * Bodies one after another as one: a form around a file. It has views and can be sent again when all of
 * them can, and its size is known when all of theirs are.
 */
export function joinedBody(bodies: readonly Body[]): Body {
  let index = 0;
  let sizeBytes: number | undefined = 0;
  for (const body of bodies) {
    sizeBytes =
      body.sizeBytes === undefined || sizeBytes === undefined
        ? undefined
        : sizeBytes + body.sizeBytes;
  }
  const nextView = (maxBytes: number): Uint8Array => {
    for (let body = bodies[index]; body !== undefined; body = bodies[++index]) {
      const view = body.nextView?.(maxBytes) ?? NOTHING;
      if (view.length > 0) return view;
    }
    return NOTHING;
  };
  const rewind = (): void => {
    for (const body of bodies) body.rewind?.();
    index = 0;
  };
  return {
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    async fill(into) {
      for (let body = bodies[index]; body !== undefined; body = bodies[++index]) {
        const count = await body.fill(into);
        if (count > 0) return count;
      }
      return 0;
    },
    ...(bodies.every((body) => body.nextView !== undefined) ? { nextView } : {}),
    ...(bodies.every((body) => body.rewind !== undefined) ? { rewind } : {}),
    cancel(reason) {
      for (const body of bodies) body.cancel(reason);
    },
  };
}

/** Bytes that are read at a time where nothing else says how many. */
const READ_BYTES = 64 * 1024;

/**
 * A body as pieces. Each is the consumer's for good unless `buffer` is given, which all of them are
 * then views of, valid until the next one is asked for. Leaving early cancels the body.
 */
export async function* piecesOf(
  body: Body | null,
  buffer?: Uint8Array,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body === null) return;
  let ended = false;
  try {
    for (;;) {
      const piece =
        buffer === undefined && body.take !== undefined
          ? await body.take()
          : await filled(body, buffer ?? new Uint8Array(READ_BYTES));
      if (piece.length === 0) {
        ended = true;
        return;
      }
      yield piece;
    }
  } finally {
    if (!ended) body.cancel();
  }
}

async function filled(body: Body, into: Uint8Array): Promise<Uint8Array> {
  return into.subarray(0, await body.fill(into));
}

/** What {@link pulledBody} is made of. */
export interface Pulled {
  /** The next piece, the caller's for good; an empty one is the end, and is not asked for again. */
  readonly take: () => Promise<Uint8Array>;
  /** Called at most once, and not after the end. */
  readonly cancel: (reason: unknown) => void;
  readonly sizeBytes?: number | undefined;
}

/** A body of pieces that come in memory of their own, for readers of both kinds. */
export function pulledBody({ take, cancel, sizeBytes }: Pulled): Body {
  let rest: Uint8Array = NOTHING;
  let ended = false;
  const next = async (): Promise<Uint8Array> => {
    if (rest.length > 0) {
      const piece = rest;
      rest = NOTHING;
      return piece;
    }
    if (ended) return NOTHING;
    const piece = await take();
    if (piece.length === 0) ended = true;
    return piece;
  };
  return {
    sizeBytes,
    take: next,
    async fill(into) {
      const piece = await next();
      const count = Math.min(piece.length, into.length);
      into.set(count < piece.length ? piece.subarray(0, count) : piece);
      rest = piece.subarray(count);
      return count;
    },
    cancel(reason) {
      rest = NOTHING;
      if (ended) return;
      ended = true;
      cancel(reason);
    },
  };
}

/**
 * A body of pieces that are made or come when they are wanted: nothing is asked of `pieces` before
 * the first read, and a reader that goes away ends them, or does what `cancel` says instead. Each piece
 * is the body's for good.
 */
export function piecesBody(
  pieces: AsyncIterable<Uint8Array>,
  sizeBytes?: number,
  cancel?: () => void,
): Body {
  let iterator: AsyncIterator<Uint8Array> | null = null;
  return pulledBody({
    sizeBytes,
    async take() {
      iterator ??= pieces[Symbol.asyncIterator]();
      for (;;) {
        const step = await iterator.next();
        if (step.done === true) return NOTHING;
        if (step.value.length > 0) return step.value;
      }
    },
    cancel: cancel ?? (() => void Promise.resolve(iterator?.return?.()).catch(() => undefined)),
  });
}

/**
 * All of a body, which grows as bytes arrive: an announced length that never comes costs nothing.
 * `beforeTaking` is waited for before memory is taken, with the bytes there will be in all; what it
 * throws ends the reading.
 * @throws OrbweaverError `LIMIT_EXCEEDED` when there are more than `limitBytes`; what the body throws
 */
export async function readAll(
  body: Body | null,
  limitBytes: number,
  beforeTaking: (totalBytes: number) => Promise<void> | void = () => {},
): Promise<Uint8Array> {
  if (body === null) return NOTHING;
  const { sizeBytes } = body;
  if (sizeBytes !== undefined && sizeBytes > limitBytes) {
    body.cancel();
    throw tooLong(limitBytes, String(sizeBytes));
  }
  const take = async (totalBytes: number): Promise<Uint8Array> => {
    try {
      await beforeTaking(totalBytes);
    } catch (error) {
      body.cancel(error);
      throw error;
    }
    return new Uint8Array(totalBytes);
  };
  let bytes = await take(Math.min(sizeBytes ?? READ_BYTES, READ_BYTES, limitBytes) + 1);
  let length = 0;
  for (;;) {
    if (length === bytes.length) {
      const grown = await take(Math.min(2 * bytes.length, limitBytes + 1));
      grown.set(bytes);
      bytes = grown;
    }
    const count = await body.fill(bytes.subarray(length));
    if (count === 0) return bytes.subarray(0, length);
    length += count;
    if (length > limitBytes) {
      body.cancel();
      throw tooLong(limitBytes, 'more');
    }
  }
}

/** More than any error page; a body that goes on costs more to read than a new connection. */
const DRAIN_BYTES = 64 * 1024;

/**
 * Reads up to `limitBytes` to the end of the body, so that its connection can be used again.
 * @param limitBytes @default 64 KiB
 */
export async function drain(body: Body | null, limitBytes: number = DRAIN_BYTES): Promise<void> {
  if (body === null) return;
  try {
    const buffer = new Uint8Array(Math.min(READ_BYTES, limitBytes));
    let length = 0;
    if ((body.sizeBytes ?? 0) <= limitBytes) {
      for (;;) {
        const count = await body.fill(buffer);
        if (count === 0) return;
        length += count;
        if (length > limitBytes) break;
      }
    }
  } catch {
    // Nothing of it was wanted.
  }
  body.cancel();
}

function tooLong(limitBytes: number, got: string): OrbweaverError {
  return new OrbweaverError(
    'LIMIT_EXCEEDED',
    `"body" expected at most ${limitBytes} bytes, got ${got}`,
    { limitBytes },
  );
}
