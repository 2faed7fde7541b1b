import type { FileSizes } from '../client/ports.js';
import { MerkleHash } from '../hash/index.js';

/** Files that are asked about at once. */
const LANES = 8;

/** Bytes of these files together, as the store says; undefined: it does not. Never rejects. */
export async function totalSize(
  cas: FileSizes,
  fileHashes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  if (cas.getFileSize === undefined) return undefined;
  let total: number | undefined = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (total !== undefined && next < fileHashes.length) {
      const hash = MerkleHash.parse(fileHashes[next++] as string);
      const size = await cas.getFileSize?.(hash, signal).catch(() => null);
      total = typeof size === 'number' && total !== undefined ? total + size : undefined;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return total;
}
