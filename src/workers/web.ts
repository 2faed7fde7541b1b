/** The pool as a page has it, as an entry point of its own: without anything of Node. */
export { MIN_MAX_MEMORY_BYTES } from './memory-plan.js';
export type { WorkerPool } from './pool.js';
export { cutChunks } from './tasks/cut-chunks.js';
export type { PageFileHandle } from './web/file-messages.js';
export { createPageFiles, type PageFile, type PageFiles } from './web/page-files.js';
export {
  type PageWorkerConstructor,
  pageThreads,
  type SpawnPageThread,
} from './web/page-thread.js';
export { createPagePool, type PagePoolOptions } from './web/pool.js';
