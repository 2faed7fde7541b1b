import { type FileHandle, open, rename } from 'node:fs/promises';
import { usage } from './command.js';

/** A log in a file that does not grow for ever. */
export interface LogFile {
  /** Takes whole lines; they are written behind the call, in order. */
  write(lines: string): void;
  /** Writes what waits. */
  close(): Promise<void>;
}

export interface LogFileOptions {
  /** What does not fit into a file of so many bytes begins a new one; the old one becomes `PATH.1`. */
  readonly limitBytes: number;
  /** Told once, when a line could not be written: the log must not stop the server. */
  readonly onProblem: (message: string) => void;
}

/** What may wait for a disk that takes nothing; more is dropped. */
const MAX_WAITING_CHARS = 4 * 1024 * 1024;

/**
 * Appends to a file, which is made if missing; its owner and group may read it. Somebody else may move it
 * away or cut it at any time.
 * @throws OrbweaverError `USAGE` when it cannot be opened
 */
export async function openLogFile(path: string, options: LogFileOptions): Promise<LogFile> {
  const { limitBytes, onProblem } = options;
  const reopen = (): Promise<FileHandle> => open(path, 'a', 0o640);
  let file: FileHandle;
  try {
    file = await reopen();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'it cannot be written';
    throw usage(`--log-file expected a file that can be written, got "${path}": ${code}`);
  }
  let waiting = '';
  let writing: Promise<void> | null = null;
  let isTold = false;

  async function rotate(): Promise<void> {
    await rename(path, `${path}.1`).catch((error: NodeJS.ErrnoException) => {
      // Somebody else has moved it away.
      if (error.code !== 'ENOENT') throw error;
    });
    const full = file;
    file = await reopen();
    await full.close();
  }

  const tell = (error: unknown): void => {
    if (!isTold) onProblem(`the log cannot be written: ${(error as Error).message}`);
    isTold = true;
  };

  async function writeAll(): Promise<void> {
    while (waiting !== '') {
      const bytes = Buffer.from(waiting);
      waiting = '';
      try {
        const { size } = await file.stat();
        // Too long a log is better than none.
        if (size > 0 && size + bytes.length > limitBytes) await rotate().catch(tell);
        await file.appendFile(bytes);
      } catch (error) {
        tell(error);
      }
    }
    writing = null;
  }

  return {
    write(lines) {
      if (waiting.length < MAX_WAITING_CHARS) waiting += lines;
      writing ??= writeAll();
    },
    async close() {
      await writing;
      await file.close();
    },
  };
}
