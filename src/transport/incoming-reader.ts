import type { IncomingMessage } from 'node:http';

/** Bytes that may wait for the reader; more stay in the buffers of the system. */
const MOST_WAITING_BYTES = 256 * 1024;

/**
 * Reads the body of an answer piece by piece, as the parser gives them. The iterator of a Node stream
 * would join waiting pieces into new memory, and costs a set of listeners per answer.
 *
 * What came before a connection broke is given out before the error.
 */
export function readerOf(incoming: IncomingMessage): () => Promise<Uint8Array | null> {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  /** Why there is no more; null: there may be. */
  let end: { readonly error: Error | null } | null = null;
  let reader: { resolve(piece: Uint8Array | null): void; reject(error: Error): void } | null = null;

  const finish = (error: Error | null): void => {
    if (end !== null) return;
    end = { error };
    if (error === null) reader?.resolve(null);
    else reader?.reject(error);
    reader = null;
  };
  incoming.on('data', (piece: Uint8Array) => {
    if (reader !== null) {
      reader.resolve(piece);
      reader = null;
      return;
    }
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes >= MOST_WAITING_BYTES) incoming.pause();
  });
  incoming.on('end', () => finish(null));
  incoming.on('error', finish);
  incoming.on('close', () => finish(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })));

  return () => {
    const piece = waiting.shift();
    if (piece !== undefined) {
      waitingBytes -= piece.length;
      return Promise.resolve(piece);
    }
    if (end !== null) return end.error === null ? Promise.resolve(null) : Promise.reject(end.error);
    return new Promise((resolve, reject) => {
      reader = { resolve, reject };
      if (incoming.isPaused()) incoming.resume();
    });
  };
}
