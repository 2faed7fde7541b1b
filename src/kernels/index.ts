export { type Crc64, createCrc64 } from './crc64.js';
export { createKernels } from './create.js';
export {
  createMemory,
  createSharedMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
  sharedMemoryAvailable,
  simdAvailable,
} from './memory.js';
export { createSha256, type Sha256 } from './sha256.js';
export type { KernelOptions, Kernels, KernelTier, KernelTwins, TierRequest } from './types.js';
export type { WasmMemory, WasmModule } from './wasm-types.js';
