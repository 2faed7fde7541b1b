import type { FileReply, FileTask, PageFileHandle } from './file-messages.js';

/** Open files of a page: only a worker may write into one in place, and does so without waiting. */

interface AccessHandle {
  read(into: Uint8Array, options: { readonly at: number }): number;
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(sizeBytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

type Openable = PageFileHandle & { createSyncAccessHandle(): Promise<AccessHandle> };

/** Works on one task after another; one that fails says so in its reply. */
export function createFileRunner(): (task: FileTask) => Promise<FileReply> {
  const open = new Map<number, AccessHandle>();
  const handleOf = (file: number): AccessHandle => {
    const handle = open.get(file);
    if (handle === undefined) throw new Error(`file ${file} is not open`);
    return handle;
  };
  const run = async (task: FileTask): Promise<Pick<FileReply, 'bytes' | 'buffers'>> => {
    const { file } = task;
    switch (task.kind) {
      case 'open': {
        const handle = await (task.handle as Openable).createSyncAccessHandle();
        open.set(file, handle);
        return { bytes: handle.getSize(), buffers: [] };
      }
      case 'write': {
        let at = task.at;
        for (const piece of task.pieces) {
          writeAll(handleOf(file), piece, at);
          at += piece.length;
        }
        return { bytes: at - task.at, buffers: task.buffers };
      }
      case 'read': {
        const isHere = typeof task.into === 'number';
        const into = isHere ? new Uint8Array(task.into as number) : (task.into as Uint8Array);
        let done = 0;
        for (let got = -1; done < into.length && got !== 0; done += got) {
          got = handleOf(file).read(into.subarray(done), { at: task.at + done });
        }
        return { bytes: done, buffers: isHere ? [into] : [] };
      }
      case 'reserve': {
        const handle = handleOf(file);
        const sizeBytes = handle.getSize();
        if (task.sizeBytes <= sizeBytes) return { bytes: sizeBytes, buffers: [] };
        try {
          resize(handle, task.sizeBytes);
        } finally {
          handle.truncate(sizeBytes);
        }
        return { bytes: sizeBytes, buffers: [] };
      }
      case 'truncate':
        resize(handleOf(file), task.sizeBytes);
        return { bytes: task.sizeBytes, buffers: [] };
      case 'close': {
        const handle = open.get(file);
        open.delete(file);
        try {
          handle?.flush();
        } finally {
          handle?.close();
        }
        return { bytes: 0, buffers: [] };
      }
    }
  };
  return async (task) => {
    try {
      return { ...(await run(task)), failure: null };
    } catch (error) {
      const { name = 'Error', message = String(error) } = (error ?? {}) as Partial<Error>;
      // What came along goes back: it is used again.
      const buffers = task.kind === 'write' ? task.buffers : [];
      return { bytes: null, failure: { name, message }, buffers };
    }
  };
}

/** One write may take less than all. */
function writeAll(handle: AccessHandle, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length; ) {
    const piece = bytes.subarray(done);
    const taken = handle.write(piece, { at: at + done });
    // In private windows Chromium says it so: with the number of its error, as if it were a count.
    if (taken === 0 || taken > piece.length) throw full(`a write that took ${taken} bytes`);
    done += taken;
  }
}

/** Where there is no room, private windows of Chromium leave the size as it was, and say nothing. */
function resize(handle: AccessHandle, sizeBytes: number): void {
  handle.truncate(sizeBytes);
  const got = handle.getSize();
  if (got !== sizeBytes) throw full(`a file that stays at ${got} bytes`);
}

function full(got: string): Error {
  return Object.assign(new Error(`expected room, got ${got}`), { name: 'QuotaExceededError' });
}
