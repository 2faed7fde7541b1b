import { OrbweaverError } from '../errors.js';
import type { BodyBuffers } from './body-buffers.js';
import type { ByteBudget } from './byte-budget.js';
import { failure, rejected } from './failures.js';
import type { GatewayRequest } from './ports.js';

/** Reading request bodies: the limit comes first, memory is asked for before it is taken. */

/** A body in memory. */
export interface HeldBody {
  readonly bytes: Uint8Array;
  /** Gives the memory back to the budget; call it in `finally`. */
  readonly release: () => void;
}

/** The declared length, or null when there is none (chunked coding). 400 when it is no number. */
export function declaredLength(request: GatewayRequest): number | null {
  const text = request.header('content-length');
  if (text === null) return null;
  if (!/^\d{1,15}$/.test(text)) throw rejected('"content-length" expected a number of bytes');
  return Number(text);
}

/** 413 before a byte is read, when the declared length is above the limit. */
export function checkDeclaredLength(request: GatewayRequest, limitBytes: number): number | null {
  const declared = declaredLength(request);
  if (declared !== null && declared > limitBytes) throw tooLarge(limitBytes);
  return declared;
}

/**
 * The pieces of the body; 413 as soon as there are more than `limitBytes`, 400 when there are not as
 * many as were declared. Leaving early drops the rest.
 */
export async function* bodyPieces(
  request: GatewayRequest,
  limitBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let received = 0;
  try {
    for await (const piece of request.body ?? []) {
      received += piece.length;
      if (received > limitBytes) throw tooLarge(limitBytes);
      if (piece.length > 0) yield piece;
    }
  } catch (cause) {
    if (cause instanceof OrbweaverError) throw cause;
    throw failure(400, 'ABORTED', 'the request body broke off', cause);
  }
  const declared = declaredLength(request);
  if (declared !== null && declared !== received) {
    throw rejected(`the body expected ${declared} bytes ("content-length"), got ${received}`);
  }
}

/** Waits for memory, then reads the whole body. */
export async function readBody(
  request: GatewayRequest,
  options: {
    limitBytes: number;
    budget: ByteBudget;
    /** Where memory comes from. @default fresh */
    buffers?: BodyBuffers;
  },
): Promise<HeldBody> {
  const { limitBytes, budget, buffers } = options;
  const declared = checkDeclaredLength(request, limitBytes);
  const free = await budget.acquire(declared ?? limitBytes, request.signal);
  let taken: Uint8Array | undefined;
  const release = (): void => {
    if (taken !== undefined) buffers?.giveBack(taken);
    taken = undefined;
    free();
  };
  try {
    if (declared === null) return { bytes: await collect(request, limitBytes), release };
    taken = buffers?.take(declared) ?? new Uint8Array(declared);
    return { bytes: await fill(request, taken), release };
  } catch (error) {
    release();
    throw error;
  }
}

async function fill(request: GatewayRequest, into: Uint8Array): Promise<Uint8Array> {
  let at = 0;
  for await (const piece of bodyPieces(request, into.length)) {
    into.set(piece, at);
    at += piece.length;
  }
  return into;
}

async function collect(request: GatewayRequest, limitBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bodyPieces(request, limitBytes)) {
    pieces.push(piece);
    length += piece.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/**
 * Reads the body to its end and drops it. An answer given while the client still sends would race
 * with a reset of the connection, and some clients then never see the answer.
 */
export async function drainBody(request: GatewayRequest, limitBytes: number): Promise<void> {
  for await (const _piece of bodyPieces(request, limitBytes)) {
    // dropped
  }
}

function tooLarge(limitBytes: number): OrbweaverError {
  return failure(413, 'LIMIT_EXCEEDED', `the body is larger than ${limitBytes} bytes`);
}
