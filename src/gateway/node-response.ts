import type { Body, HttpResponse } from '../http/index.js';
import type { Incoming } from './node-request.js';

/** From responses of the exchange to those of node:http, with backpressure. */

/** Responses up to this go out in one write; longer ones through two buffers of this size. */
const SEND_BUFFER_BYTES = 512 * 1024;

/** Buffers kept between responses: what a few readers at once use. */
const SPARE_BUFFERS = 8;
/**
 * Buffers of that size that are out at a time, 32 MiB; whoever comes then is served through small
 * ones, so that readers that take nothing hold little.
 */
const MAX_LARGE_BUFFERS = 64;
const SMALL_BUFFER_BYTES = 32 * 1024;

/** Memory for responses. Fresh memory for each would cost page faults, zeroes and collections. */
export interface SendBuffers {
  take(): Uint8Array;
  /** `again`: nothing reads from it any more. */
  giveBack(buffer: Uint8Array, again: boolean): void;
}

export function createSendBuffers(): SendBuffers {
  const spare: Uint8Array[] = [];
  let outCount = 0;
  return {
    take() {
      if (outCount >= MAX_LARGE_BUFFERS) return new Uint8Array(SMALL_BUFFER_BYTES);
      outCount++;
      return spare.pop() ?? new Uint8Array(SEND_BUFFER_BYTES);
    },
    giveBack(buffer, again) {
      if (buffer.length !== SEND_BUFFER_BYTES) return;
      outCount--;
      if (again && spare.length < SPARE_BUFFERS) spare.push(buffer);
    },
  };
}

/** Resolves when all of the response was handed to the socket, or the client is gone. */
export async function sendResponse(
  { status, headers, body }: HttpResponse,
  incoming: Incoming,
  buffers: SendBuffers,
): Promise<void> {
  const { response, request } = incoming;
  const isHead = request.method === 'HEAD';
  if (body === null || isHead) {
    body?.cancel();
    // With a length where none is given: node would send even an empty response in chunked coding.
    const needsLength = status !== 204 && status !== 304 && !isHead;
    response.writeHead(status, needsLength ? { 'content-length': '0', ...headers } : headers);
    response.end();
    return;
  }
  const stop = (): void => body.cancel();
  response.once('close', stop);
  try {
    response.writeHead(status, headers);
    if (body.nextView !== undefined) await sendViews(body, incoming);
    else if (body.sizeBytes !== undefined) await sendSized(body, body.sizeBytes, incoming, buffers);
    else await sendPieces(body, incoming, buffers);
  } finally {
    response.off('close', stop);
    body.cancel();
  }
}

/** Bytes in memory go out as they are; what fits in one write goes together with its head. */
async function sendViews(body: Body, incoming: Incoming): Promise<void> {
  const { response } = incoming;
  const next = (): Uint8Array => body.nextView?.(SEND_BUFFER_BYTES) ?? new Uint8Array(0);
  let piece = next();
  if (piece.length === 0) response.end();
  while (piece.length > 0 && !response.destroyed) {
    const following = next();
    await written(piece, incoming, following.length === 0);
    piece = following;
  }
}

/** Two buffers in turn: one is filled while the system takes the other. */
async function sendSized(
  body: Body,
  sizeBytes: number,
  incoming: Incoming,
  buffers: SendBuffers,
): Promise<void> {
  const { response } = incoming;
  const held = [buffers.take()];
  let again = false;
  try {
    if (sizeBytes > SEND_BUFFER_BYTES) held.push(buffers.take());
    let writing: Promise<void> | undefined;
    let leftBytes = sizeBytes;
    for (let turn = 0; leftBytes > 0 && !response.destroyed; turn = (turn + 1) % held.length) {
      const buffer = held[turn] as Uint8Array;
      const piece = leftBytes < buffer.length ? buffer.subarray(0, leftBytes) : buffer;
      if (held.length === 1) await writing;
      await fillAll(body, piece);
      leftBytes -= piece.length;
      await writing;
      writing = written(piece, incoming, leftBytes === 0);
    }
    if (sizeBytes === 0) response.end();
    await writing;
    // Not after a failure: the system may still read from them.
    again = !response.destroyed || leftBytes === 0;
  } finally {
    for (const buffer of held) buffers.giveBack(buffer, again);
  }
}

async function fillAll(body: Body, into: Uint8Array): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const more = await body.fill(filled === 0 ? into : into.subarray(filled));
    if (more === 0) throw new Error('the body ended before its length');
    filled += more;
  }
}

/** Pieces of a body whose length nobody knows. */
async function sendPieces(body: Body, incoming: Incoming, buffers: SendBuffers): Promise<void> {
  const { response } = incoming;
  const buffer = body.take === undefined ? buffers.take() : null;
  let again = false;
  try {
    while (!response.destroyed) {
      const piece =
        buffer === null
          ? ((await body.take?.()) ?? new Uint8Array(0))
          : buffer.subarray(0, await body.fill(buffer));
      if (piece.length === 0) break;
      await written(piece, incoming, false);
    }
    again = true;
    response.end();
  } finally {
    if (buffer !== null) buffers.giveBack(buffer, again);
  }
}

/** Resolves when the system has taken `piece`, or the client is gone: its memory is free again. */
function written(piece: Uint8Array, incoming: Incoming, isLast: boolean): Promise<void> {
  const { response } = incoming;
  if (response.destroyed) return Promise.resolve();
  incoming.waitsForClient = true;
  return new Promise((resolve) => {
    const done = (): void => {
      incoming.waitsForClient = false;
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    if (isLast) response.end(piece, done);
    else response.write(piece, done);
  });
}
