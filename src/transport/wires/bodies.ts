import type { Body, HttpHeaders } from '../../http/index.js';

/** What wires have in common whose bodies come in buffers of somebody else. */

/** Pieces of a body, one after another; null is the end. */
export interface PieceReader {
  /** `into`: where the bytes are going to be copied to. */
  next(into: Uint8Array): Promise<Uint8Array | null>;
  /** Breaks the connection. */
  cancel(reason: unknown): void;
}

/** A body over pieces, which are copied to where the reader wants them. */
export function bodyOfPieces(pieces: PieceReader, sizeBytes: number | undefined): Body {
  let rest: Uint8Array | null = new Uint8Array(0);
  return {
    sizeBytes,
    async fill(into) {
      while (rest !== null && rest.length === 0) rest = await pieces.next(into);
      if (rest === null) return 0;
      const count = Math.min(into.length, rest.length);
      into.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      return count;
    },
    cancel: (reason) => {
      if (rest !== null) pieces.cancel(reason);
    },
  };
}

/** True for responses that have no body whatever their headers say. */
export function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304;
}

/** The length that a response announces, or undefined. */
export function sizeOf(headers: HttpHeaders): number | undefined {
  const text = headers['content-length'];
  if (text === undefined || headers['transfer-encoding'] !== undefined) return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/**
 * The body in writes, as it is borrowed or through a buffer. Their memory is borrowed until the next one
 * is asked for.
 */
export async function* writesOf(body: Body): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = body.nextView === undefined ? new Uint8Array(BUFFER_BYTES) : null;
  for (;;) {
    const allowed = body.allowance?.(MOST_WRITE_BYTES) ?? MOST_WRITE_BYTES;
    const mostBytes = typeof allowed === 'number' ? allowed : await allowed;
    const bytes =
      buffer === null
        ? (body.nextView?.(mostBytes) as Uint8Array)
        : buffer.subarray(0, await body.fill(buffer));
    if (bytes.length === 0) return;
    yield bytes;
  }
}

const BUFFER_BYTES = 64 * 1024;
/** A body that is measured gives smaller views where the link is slow (`write-sizes.ts`). */
const MOST_WRITE_BYTES = 4 * 1024 * 1024;
