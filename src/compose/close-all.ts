import type { RandomAccess } from '../client/ports.js';

export async function closeAll(opened: readonly RandomAccess[]): Promise<void> {
  for (const access of opened) await access.close().catch(() => undefined);
}
