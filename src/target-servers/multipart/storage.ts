import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the server keeps chunks and files: by key, as bytes. */
export interface ChunkStorage {
  put(task: string, index: number, bytes: Uint8Array): Promise<void>;
  /** Null: there is none. */
  get(task: string, index: number): Promise<Uint8Array | null>;
  /** The chunks of a task become those of a file, which are only read. */
  keep(task: string, file: string): Promise<void>;
  drop(task: string): Promise<void>;
  close(): Promise<void>;
}

export function memoryStorage(): ChunkStorage {
  const tasks = new Map<string, Map<number, Uint8Array>>();
  return {
    async put(task, index, bytes) {
      const chunks = tasks.get(task) ?? new Map<number, Uint8Array>();
      tasks.set(task, chunks.set(index, bytes.slice()));
    },
    get: async (task, index) => tasks.get(task)?.get(index) ?? null,
    async keep(task, file) {
      tasks.set(file, tasks.get(task) ?? new Map());
      tasks.delete(task);
    },
    async drop(task) {
      tasks.delete(task);
    },
    async close() {
      tasks.clear();
    },
  };
}

export function folderStorage(folder: string): ChunkStorage {
  const made = new Map<string, Promise<unknown>>();
  const path = (task: string, index: number): string => join(folder, task, String(index));
  return {
    async put(task, index, bytes) {
      if (!made.has(task)) made.set(task, mkdir(join(folder, task), { recursive: true }));
      await made.get(task);
      await writeFile(path(task, index), bytes);
    },
    get: (task, index) => readFile(path(task, index)).catch(() => null),
    async keep(task, file) {
      await mkdir(join(folder, task), { recursive: true });
      await rename(join(folder, task), join(folder, file));
    },
    async drop(task) {
      await rm(join(folder, task), { recursive: true, force: true });
      made.delete(task);
    },
    async close() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
