import type { PulledBody } from './ports.js';

/** At most; large enough that system calls do not show. */
const OWN_BUFFER_BYTES = 256 * 1024;

/**
 * A pulled body as a readable byte stream. Whoever reads it with buffers of their own
 * (`getReader({ mode: 'byob' })`) has those filled; others get pieces that are theirs.
 */
export function byteStreamOf(body: PulledBody): ReadableStream<Uint8Array> {
  let cancelled = false;
  return new ReadableStream({
    type: 'bytes',
    // Not more than there is: these buffers are zeroed, which shows in small answers.
    autoAllocateChunkSize: Math.max(1, Math.min(body.lengthBytes, OWN_BUFFER_BYTES)),
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
        await body.close();
        controller.close();
        request.respond(0);
      } catch (error) {
        await body.close();
        if (!cancelled) throw error;
      }
    },
    cancel(): Promise<void> {
      cancelled = true;
      return body.close();
    },
  });
}
