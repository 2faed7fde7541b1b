import type { ObjectReader } from './ports.js';
import type { ByteSpan } from './ranges.js';

/**
 * Bodies made of ranges of one stored object, and of bytes between them, as a readable byte stream:
 * whoever reads it with buffers of their own (`getReader({ mode: 'byob' })`) has the store read
 * straight into those, so that serving a range allocates nothing per piece.
 */

/** Bytes as they are, or a range of the object. */
export type BodyPart = Uint8Array | ByteSpan;

/** Buffers for readers without their own: large enough that system calls do not show. */
const OWN_BUFFER_BYTES = 256 * 1024;

/**
 * The stream of `parts`. `open` is called at the first read; a failure there or later errors the
 * stream and is `report`ed, because the status went out before.
 */
export function byteStreamOf(options: {
  parts: readonly BodyPart[];
  open: () => Promise<ObjectReader>;
  report: (error: unknown) => void;
}): ReadableStream<Uint8Array> {
  const { parts, open, report } = options;
  let opened: Promise<ObjectReader> | undefined;
  let index = 0;
  /** Bytes of the part in progress that were given out. */
  let done = 0;
  let cancelled = false;

  const close = async (): Promise<void> => {
    const reader = await opened?.catch(() => undefined);
    await reader?.close();
  };
  /** Fills `into` as far as there is something; 0 at the end. */
  const fill = async (into: Uint8Array): Promise<number> => {
    let filled = 0;
    for (let part = parts[index]; part !== undefined && filled < into.length; part = parts[index]) {
      const length = part instanceof Uint8Array ? part.length : part.end - part.start;
      const target = into.subarray(filled, filled + length - done);
      if (part instanceof Uint8Array) target.set(part.subarray(done, done + target.length));
      else {
        opened ??= open();
        await (await opened).readAt(target, part.start + done);
      }
      filled += target.length;
      done += target.length;
      if (done < length) break;
      index++;
      done = 0;
    }
    return filled;
  };

  return new ReadableStream({
    type: 'bytes',
    autoAllocateChunkSize: OWN_BUFFER_BYTES,
    async pull(controller): Promise<void> {
      // There always is one: buffers are allocated for readers that bring none.
      const request = controller.byobRequest as ReadableStreamBYOBRequest;
      const { buffer, byteOffset, byteLength } = request.view as ArrayBufferView;
      try {
        const filled = await fill(new Uint8Array(buffer, byteOffset, byteLength));
        // Nobody waits for what was being read when the stream was cancelled.
        if (cancelled) return;
        if (filled > 0) {
          request.respond(filled);
          return;
        }
        await close();
        controller.close();
        request.respond(0);
      } catch (error) {
        await close();
        if (cancelled) return;
        report(error);
        throw error;
      }
    },
    cancel(): Promise<void> {
      cancelled = true;
      return close();
    },
  });
}
