export { createDigestMaker, type DigestMakerOptions } from './digest-maker.js';
export { defaultMaxMemory, defaultThreads } from './machine.js';
export { MIN_MAX_MEMORY_BYTES } from './memory-plan.js';
export { type ComputePoolOptions, createComputePool, type WorkerPool } from './pool.js';
export { cutChunks } from './tasks/cut-chunks.js';
export { createThreadKernels, type ThreadKernelsOptions } from './thread-kernels.js';
