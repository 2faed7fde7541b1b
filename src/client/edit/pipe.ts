import { OrbweaverError } from '../../errors.js';
import { Deferred } from '../../flow/index.js';
import type { Sink } from '../ports.js';

/** The bytes of a download, for whoever pulls them. */
export interface Pipe {
  /** Where the download writes; each write is taken when its last byte was read. */
  readonly sink: Sink;
  /** The next bytes into the start of `into`; 0: the download is complete. @throws why it failed */
  read(into: Uint8Array): Promise<number>;
}

/** Nothing is held between the two: a download that nobody reads stands still. */
export function createPipe(name: string): Pipe {
  let piece = new Uint8Array(0);
  let taken: Deferred<void> | null = null;
  let news: Deferred<void> | null = null;
  let state: 'open' | 'complete' | { readonly error: unknown } = 'open';
  const tell = (): void => {
    news?.resolve();
    news = null;
  };
  return {
    sink: {
      name,
      positional: false,
      async write(bytes) {
        if (bytes.length === 0) return;
        piece = bytes as Uint8Array<ArrayBuffer>;
        taken = new Deferred();
        const done = taken.promise;
        tell();
        await done;
      },
      async commit() {
        state = 'complete';
        tell();
      },
      async abort(reason) {
        state = { error: reason ?? new OrbweaverError('ABORTED', `"${name}" was cancelled`) };
        // What the downloader wrote is its own again.
        piece = new Uint8Array(0);
        taken?.resolve();
        tell();
      },
    },
    async read(into) {
      for (;;) {
        if (typeof state === 'object') throw state.error;
        if (piece.length > 0) {
          const part = piece.subarray(0, into.length);
          into.set(part);
          piece = piece.subarray(part.length);
          if (piece.length === 0) taken?.resolve();
          return part.length;
        }
        if (state === 'complete') return 0;
        news ??= new Deferred();
        await news.promise;
      }
    },
  };
}
