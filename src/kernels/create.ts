import { OrbweaverError } from '../errors.js';
import { KERNEL_SCRATCH_BYTES, KERNEL_STATIC_BYTES, simdAvailable } from './memory.js';
import type { KernelOptions, Kernels, KernelTier } from './types.js';

/** From fast to slow. The first one runs with SIMD128, the second with WebAssembly, the last anywhere. */
const TIERS: readonly KernelTier[] = ['simd', 'portable', 'readable'];

const BUILDERS: Readonly<Record<KernelTier, (options: KernelOptions) => Promise<Kernels>>> = {
  simd: createSimd,
  portable: createPortable,
  readable: createReadable,
};

/**
 * Kernels of the tier asked for; with `auto` of the fastest one that runs here. Compiling the
 * `simd` tier takes a few milliseconds; make one per thread and keep it.
 *
 * @throws OrbweaverError `KERNEL_UNAVAILABLE` when a forced tier does not run here; RangeError for
 * a tier that does not exist and for scratch space outside of `memory`.
 */
export async function createKernels(options: KernelOptions): Promise<Kernels> {
  const request = options.tier ?? 'auto';
  if (request !== 'auto' && !TIERS.includes(request)) {
    throw new RangeError(`"tier" expected auto, ${TIERS.join(', ')}, got ${String(request)}`);
  }
  checkScratch(options);
  if (request !== 'auto') {
    try {
      return await BUILDERS[request](options);
    } catch (cause) {
      throw new OrbweaverError(
        'KERNEL_UNAVAILABLE',
        `"tier" expected one that runs here, got ${request}`,
        { tier: request },
        cause,
      );
    }
  }
  let fallbackReason: string | null = null;
  for (const tier of TIERS) {
    try {
      return { ...(await BUILDERS[tier](options)), fallbackReason };
    } catch (error) {
      // The next tier asks less of the engine; the last one asks nothing.
      fallbackReason ??= error instanceof Error ? error.message : String(error);
    }
  }
  return { ...(await createReadable(options)), fallbackReason };
}

// Each tier is loaded when it is asked for: hash-wasm is large, and most threads never need it.

async function createSimd(options: KernelOptions): Promise<Kernels> {
  if (!simdAvailable()) throw new Error('this engine has no SIMD128');
  const simd = await import('./simd.js');
  return simd.createSimd(options);
}

async function createPortable({ twins }: KernelOptions): Promise<Kernels> {
  const { createPortableHasher } = await import('./portable-hasher.js');
  return withoutMemory('portable', twins, await createPortableHasher(twins.hasher));
}

async function createReadable({ twins }: KernelOptions): Promise<Kernels> {
  return withoutMemory('readable', twins, twins.hasher);
}

/** Tiers that take bytes wherever they are, call by call. */
function withoutMemory(
  tier: KernelTier,
  { scanner, codec }: KernelOptions['twins'],
  hasher: Kernels['hasher'],
): Kernels {
  return {
    tier,
    scanner,
    hasher,
    codec,
    cutter: null,
    records: null,
    memory: null,
    sharedMemory: false,
    module: null,
    fallbackReason: null,
  };
}

function checkScratch({ memory, scratchBase }: KernelOptions): void {
  if (memory === undefined) {
    if (scratchBase === undefined) return;
    throw new RangeError('"scratchBase" expected a memory it lies in, got none');
  }
  const base = scratchBase ?? KERNEL_STATIC_BYTES;
  const last = memory.buffer.byteLength - KERNEL_SCRATCH_BYTES;
  if (!Number.isInteger(base) || base % 64 !== 0 || base < KERNEL_STATIC_BYTES || base > last) {
    throw new RangeError(
      `"scratchBase" expected a multiple of 64 from ${KERNEL_STATIC_BYTES} to ${last}, got ${base}`,
    );
  }
}
