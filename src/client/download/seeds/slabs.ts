import type { Scope } from '../../../flow/index.js';
import type { ComputePool, Slab } from '../../ports.js';

/** One slab; what comes when the scope has ended goes back. @throws OrbweaverError its reason */
export async function takeSlab(pool: ComputePool, scope: Scope): Promise<Slab> {
  const [slab] = await scope.obtain(
    (signal) => pool.acquire(1, signal),
    (late) => late[0]?.release(),
  );
  return slab as Slab;
}
