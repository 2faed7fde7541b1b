import { isOrbweaverError } from '../errors.js';
import { createSharedMemory, sharedMemoryAvailable, type WasmMemory } from '../kernels/index.js';
import type { MemoryPlan } from './memory-plan.js';

/** Null: buffers are transferred. @throws OrbweaverError `KERNEL_UNAVAILABLE` */
export function sharedMemoryFor(plan: MemoryPlan, wanted: boolean | undefined): WasmMemory | null {
  if (wanted === false || (wanted === undefined && !sharedMemoryAvailable())) return null;
  try {
    return createSharedMemory({ bytes: plan.totalBytes });
  } catch (error) {
    // Address space can be short (ulimit -v); ordinary buffers are then taken one by one.
    if (wanted === undefined && isOrbweaverError(error)) return null;
    throw error;
  }
}
