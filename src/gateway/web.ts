import { type Body, type Exchange, type HttpRequest, pulledBody } from '../http/index.js';

/** Between web Requests and Responses and the exchange. */

/** Where a gateway is mounted. */
export interface MountOptions {
  /** Path below which it lies, such as `/xet`. @default none */
  readonly prefix?: string | undefined;
}

/** A prefix without a slash at its end. @throws TypeError for what no path starts with */
export function mountPrefix(prefix: string): string {
  const trimmed = prefix.replace(/\/+$/, '');
  if (trimmed === '' || /^(?:\/[\w.~%!$&'()*+,;=:@-]+)+$/.test(trimmed)) return trimmed;
  throw new TypeError(`"prefix" expected a path such as "/xet", got "${prefix}"`);
}

/** Has an exchange handle a web Request. */
export async function viaExchange(exchange: Exchange, request: Request): Promise<Response> {
  const { status, headers, body } = await exchange(fromWebRequest(request));
  return new Response(body === null ? null : webBody(body), { status, headers });
}

function fromWebRequest(request: Request): HttpRequest {
  const { method, signal } = request;
  const headers = Object.fromEntries(request.headers);
  const body = request.body === null ? null : streamBody(request.body);
  return { method, url: new URL(request.url), headers, body, signal };
}

/** Cancelling does not wait for what the other side does about it. */
function streamBody(stream: ReadableStream<Uint8Array>): Body {
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  return pulledBody({
    async take() {
      reader ??= stream.getReader();
      for (;;) {
        const step = await reader.read();
        if (step.done) return new Uint8Array(0);
        if (step.value.length > 0) return step.value;
      }
    },
    cancel(reason) {
      (reader ?? stream).cancel(reason).catch(() => undefined);
    },
  });
}

/** At most; large enough that system calls do not show. */
const OWN_BUFFER_BYTES = 256 * 1024;

/**
 * A body as a readable byte stream. Whoever reads it with buffers of their own
 * (`getReader({ mode: 'byob' })`) has those filled; others get pieces that are theirs.
 */
export function webBody(body: Body): ReadableStream<Uint8Array> {
  let cancelled = false;
  return new ReadableStream({
    type: 'bytes',
    // Not more than there is: these buffers are zeroed, which shows in small responses.
    autoAllocateChunkSize: Math.max(
      1,
      Math.min(body.sizeBytes ?? OWN_BUFFER_BYTES, OWN_BUFFER_BYTES),
    ),
    async pull(controller): Promise<void> {
      // There always is one: buffers are allocated for readers that bring none.
      const request = controller.byobRequest as ReadableStreamBYOBRequest;
      const { buffer, byteOffset, byteLength } = request.view as ArrayBufferView;
      try {
        const filled = await body.fill(new Uint8Array(buffer, byteOffset, byteLength));
        // Nobody waits for what was being read when the stream was cancelled.
        if (cancelled) return;
        if (filled > 0) {
          request.respond(filled);
          return;
        }
        controller.close();
        request.respond(0);
      } catch (error) {
        if (!cancelled) throw error;
      }
    },
    cancel(reason): void {
      cancelled = true;
      body.cancel(reason);
    },
  });
}
