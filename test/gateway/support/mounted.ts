import type { Gateway } from '../../../src/gateway/index.js';
import { type Exchange, piecesBody, piecesOf } from '../../../src/http/index.js';

/** A handler of web Requests as what a server takes. */
export function mounted(handle: (request: Request) => Promise<Response>): Pick<Gateway, 'mount'> {
  const exchange: Exchange = async ({ method, url, headers, body, signal }) => {
    const stream = body === null ? undefined : streamOf(piecesOf(body), body.cancel);
    const init = { method, headers: { ...headers }, signal, body: stream, duplex: 'half' };
    const response = await handle(new Request(url, init as RequestInit));
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: response.body === null ? null : piecesBody(response.body as AsyncIterable<Uint8Array>),
    };
  };
  return { mount: () => exchange };
}

function streamOf(
  pieces: AsyncGenerator<Uint8Array>,
  cancel: () => void,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller): Promise<void> {
        const step = await pieces.next();
        if (step.done === true) controller.close();
        else controller.enqueue(step.value);
      },
      cancel,
    },
    { highWaterMark: 0 },
  );
}
