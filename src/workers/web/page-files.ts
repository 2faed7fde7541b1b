import { SYSTEM_CLOCK } from '../../platform/index.js';
import type { FileReply, FileTask, PageFileHandle } from './file-messages.js';
import { PageExecutor } from './page-executor.js';
import type { SpawnPageThread } from './page-thread.js';

/** Memory that travels to the thread and back where none is shared, bytes. */
const STAGING_BYTES: number = 4 * 1024 * 1024;

/** Files of the page's own storage, open in a thread that has nothing else to do. */
export interface PageFiles {
  /** Opens one for itself: whoever else tries fails. @throws what the browser throws */
  open(handle: PageFileHandle): Promise<PageFile>;
  /** Ends the thread; files that are open are closed. */
  close(): Promise<void>;
}

/** An open file, which is written in place. Calls take effect in their order. */
export interface PageFile {
  /** Bytes when it was opened. */
  readonly sizeBytes: number;
  /** Pieces one after another. Resolves when they may be used again. @throws what the browser throws */
  write(pieces: readonly Uint8Array[], at: number): Promise<void>;
  /** @returns bytes read: fewer than there is room for at the end of the file */
  read(into: Uint8Array, at: number): Promise<number>;
  /** Looks whether it could have so many bytes. @throws `QuotaExceededError` */
  reserve(sizeBytes: number): Promise<void>;
  /** Makes it shorter, or longer with zeros. */
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

export function createPageFiles(options: {
  readonly spawn: SpawnPageThread;
  readonly idleTimeoutMs?: number | undefined;
}): PageFiles {
  const thread = new PageExecutor<FileTask, FileReply>({
    spawn: options.spawn,
    setup: (id) => ({ program: 'files', id }),
    threads: 1,
    clock: SYSTEM_CLOCK,
    idleTimeoutMs: options.idleTimeoutMs,
  });
  let lastFile = 0;
  let openCount = 0;
  /** One copy at a time travels. */
  let staging: Uint8Array<ArrayBuffer> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(run: () => Promise<T>): Promise<T> => {
    const done = last.then(run);
    last = done.catch(() => {});
    return done;
  };
  const ask = async (task: FileTask, transfer: ArrayBuffer[] = []): Promise<FileReply> => {
    const reply = await thread.run(task, transfer);
    if (reply.failure === null) return reply;
    // Who asks looks at the name, as with an error of the browser itself.
    throw Object.assign(new Error(reply.failure.message), { name: reply.failure.name });
  };
  const writeCopied = async (file: number, pieces: readonly Uint8Array[], at: number) => {
    let position = at;
    let filled = 0;
    const flush = async (): Promise<void> => {
      const whole = staging as Uint8Array<ArrayBuffer>;
      staging = null;
      const task = { kind: 'write' as const, file, at: position, buffers: [whole] };
      const reply = await ask({ ...task, pieces: [whole.subarray(0, filled)] }, [whole.buffer]);
      staging = reply.buffers[0] as Uint8Array<ArrayBuffer>;
      position += filled;
      filled = 0;
    };
    for (const piece of pieces) {
      for (let from = 0; from < piece.length; ) {
        staging ??= new Uint8Array(STAGING_BYTES);
        const part = piece.subarray(from, from + staging.length - filled);
        staging.set(part, filled);
        filled += part.length;
        from += part.length;
        if (filled === staging.length) await flush();
      }
    }
    if (filled > 0) await flush();
  };

  const fileOf = (file: number, sizeBytes: number): PageFile => {
    let closing: Promise<void> | null = null;
    return {
      sizeBytes,
      async write(pieces, at) {
        if (pieces.every(isShared)) await ask({ kind: 'write', file, at, pieces, buffers: [] });
        else await inTurn(() => writeCopied(file, pieces, at));
      },
      async read(into, at) {
        if (isShared(into)) return (await ask({ kind: 'read', file, at, into })).bytes ?? 0;
        const { bytes, buffers } = await ask({ kind: 'read', file, at, into: into.length });
        into.set((buffers[0] as Uint8Array).subarray(0, bytes ?? 0));
        return bytes ?? 0;
      },
      async reserve(to) {
        await ask({ kind: 'reserve', file, sizeBytes: to });
      },
      async truncate(to) {
        await ask({ kind: 'truncate', file, sizeBytes: to });
      },
      close() {
        closing ??= ask({ kind: 'close', file }).then(
          () => thread.keepIdle(--openCount > 0),
          (error: unknown) => {
            thread.keepIdle(--openCount > 0);
            throw error;
          },
        );
        return closing;
      },
    };
  };
  return {
    async open(handle) {
      const file = ++lastFile;
      // What is open dies with its thread.
      openCount++;
      thread.keepIdle(true);
      try {
        const { bytes } = await ask({ kind: 'open', file, handle });
        return fileOf(file, bytes ?? 0);
      } catch (error) {
        thread.keepIdle(--openCount > 0);
        throw error;
      }
    },
    close: () => thread.close(),
  };
}

function isShared({ buffer }: Uint8Array): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
}
