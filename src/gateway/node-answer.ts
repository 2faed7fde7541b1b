import type { Exchange } from './node-request.js';
import type { GatewayAnswer, PulledBody } from './ports.js';

/** From answers of the gateway to node:http responses, with backpressure. */

/** Answers up to this go out in one write; longer ones through two buffers of this size. */
const SEND_BUFFER_BYTES = 512 * 1024;

/** Buffers kept between answers: what a few readers at once use. */
const SPARE_BUFFERS = 8;

/** Memory for answers. Fresh memory for each would cost page faults, zeroes and collections. */
export interface SendBuffers {
  take(): Uint8Array;
  giveBack(buffer: Uint8Array): void;
}

export function createSendBuffers(): SendBuffers {
  const spare: Uint8Array[] = [];
  return {
    take: () => spare.pop() ?? new Uint8Array(SEND_BUFFER_BYTES),
    giveBack(buffer) {
      if (spare.length < SPARE_BUFFERS) spare.push(buffer);
    },
  };
}

/** Resolves when all of the answer was handed to the socket, or the client is gone. */
export async function sendAnswer(
  answer: GatewayAnswer,
  exchange: Exchange,
  buffers: SendBuffers,
): Promise<void> {
  const { response, request } = exchange;
  const { body } = answer;
  const withoutBody = body === null || request.method === 'HEAD';
  if (withoutBody || body instanceof Uint8Array) {
    if (body !== null && !(body instanceof Uint8Array)) await dropBody(body);
    response.writeHead(answer.status, headersOf(answer, exchange));
    if (withoutBody) response.end();
    else response.end(body);
    return;
  }
  if ('fill' in body) await sendPulled(answer, body, exchange, buffers);
  else await sendStream(answer, body.getReader(), exchange);
}

function dropBody(body: PulledBody | ReadableStream<Uint8Array>): Promise<void> {
  return 'fill' in body ? body.close() : body.cancel();
}

/** With a length where none is given: node would send even an empty answer in chunked coding. */
function headersOf(
  { status, headers, body }: GatewayAnswer,
  { request }: Exchange,
): Record<string, string> {
  const nothing = status === 204 || status === 304 || request.method === 'HEAD';
  if (nothing || headers['content-length'] !== undefined) return headers;
  const lengthBytes = body instanceof Uint8Array ? body.length : 0;
  return { ...headers, 'content-length': String(lengthBytes) };
}

/**
 * Two buffers in turn: one is filled while the system takes the other. What fits in one goes out
 * together with its head.
 */
async function sendPulled(
  answer: GatewayAnswer,
  body: PulledBody,
  exchange: Exchange,
  buffers: SendBuffers,
): Promise<void> {
  const { response } = exchange;
  const stop = (): void => {
    body.close().catch(() => undefined);
  };
  response.once('close', stop);
  try {
    response.writeHead(answer.status, answer.headers);
    const held = [buffers.take()];
    if (body.lengthBytes > SEND_BUFFER_BYTES) held.push(buffers.take());
    let writing: Promise<void> | undefined;
    let leftBytes = body.lengthBytes;
    for (let turn = 0; leftBytes > 0 && !response.destroyed; turn = 1 - turn) {
      const buffer = held[turn] as Uint8Array;
      const piece = leftBytes < buffer.length ? buffer.subarray(0, leftBytes) : buffer;
      await fillAll(body, piece);
      leftBytes -= piece.length;
      await writing;
      writing = written(piece, exchange, leftBytes === 0);
    }
    if (body.lengthBytes === 0) response.end();
    await writing;
    // Not after a failure: the system may still read from them.
    for (const buffer of held) buffers.giveBack(buffer);
  } finally {
    response.off('close', stop);
    await body.close();
  }
}

async function fillAll(body: PulledBody, into: Uint8Array): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const more = await body.fill(filled === 0 ? into : into.subarray(filled));
    if (more === 0) throw new Error('the body ended before its length');
    filled += more;
  }
}

/** Resolves when the system has taken `piece`, or the client is gone: its memory is free again. */
function written(piece: Uint8Array, exchange: Exchange, isLast: boolean): Promise<void> {
  const { response } = exchange;
  return clientTakes(exchange, (done) => {
    if (isLast) response.end(piece, done);
    else response.write(piece, done);
  });
}

async function sendStream(
  answer: GatewayAnswer,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  exchange: Exchange,
): Promise<void> {
  const { response } = exchange;
  const stop = (): void => {
    reader.cancel().catch(() => undefined);
  };
  response.once('close', stop);
  response.writeHead(answer.status, answer.headers);
  while (true) {
    const step = await reader.read();
    if (step.done) break;
    if (response.write(step.value)) continue;
    await clientTakes(exchange, (done) => response.once('drain', done));
  }
  response.off('close', stop);
  response.end();
}

/** Resolves when what `begin` waits for is done, or the client is gone. */
function clientTakes(exchange: Exchange, begin: (done: () => void) => void): Promise<void> {
  const { response } = exchange;
  if (response.destroyed) return Promise.resolve();
  exchange.waitsForClient = true;
  return new Promise((resolve) => {
    const done = (): void => {
      exchange.waitsForClient = false;
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    begin(done);
  });
}
