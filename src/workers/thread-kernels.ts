import { createReadableScanner, GEAR_TABLE } from '../chunker/index.js';
import { createReadableCodec } from '../compress/index.js';
import { createReadableBlake3 } from '../hash/index.js';
import {
  createKernels,
  type Kernels,
  type TierRequest,
  type WasmMemory,
  type WasmModule,
} from '../kernels/index.js';

/** Options of {@link createThreadKernels}. */
export interface ThreadKernelsOptions {
  /** @default 'auto' */
  readonly tier?: TierRequest | undefined;
  /** The pool's shared memory; without it the kernels own a small ordinary one. */
  readonly memory?: WasmMemory | undefined;
  /** Where this thread's scratch starts in `memory`. */
  readonly scratchBase?: number | undefined;
  /** Kernels that another thread compiled. */
  readonly module?: WasmModule | undefined;
}

/**
 * The kernels of one thread with the core's readable twins handed in, which the kernels' own module
 * may not import. Used by every worker, by the thread that owns the pool, and by callers without
 * one.
 *
 * @throws OrbweaverError `KERNEL_UNAVAILABLE` when a forced tier does not run here
 */
export function createThreadKernels(options: ThreadKernelsOptions = {}): Promise<Kernels> {
  return createKernels({
    tier: options.tier,
    twins: {
      scanner: createReadableScanner(),
      hasher: createReadableBlake3(),
      codec: createReadableCodec(),
      gearTable: GEAR_TABLE,
    },
    memory: options.memory,
    scratchBase: options.scratchBase,
    module: options.module,
  });
}
