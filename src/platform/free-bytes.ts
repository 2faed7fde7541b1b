/** Smaller ones are not worth the call, of about 3 µs. */
const MIN_BYTES = 16 * 1024;

/** Gives memory back to the system. */
export type FreeBytes = (bytes: Uint8Array) => void;

/**
 * What gives the memory of bytes back at once, which is otherwise done when the collector finds it unused: what
 * comes next gets the same memory again, warm, and the collector does not run for the sake of it. The memory has
 * to be the caller's alone, with all views of it, which are empty afterwards. Memory that is shared or part of a
 * larger piece is left alone.
 */
export function createFreeBytes(): FreeBytes {
  const { port1: nobody, port2 } = new MessageChannel();
  port2.close();
  nobody.close();
  return ({ buffer, byteLength }) => {
    if (byteLength < MIN_BYTES || byteLength !== buffer.byteLength) return;
    if (!(buffer instanceof ArrayBuffer)) return;
    try {
      // What is passed to a port that nobody listens at is dropped.
      nobody.postMessage(null, [buffer]);
    } catch {
      // Memory that cannot be passed is the collector's.
    }
  };
}
