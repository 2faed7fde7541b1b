import type { BlockCodec } from './ports.js';

export function bg4Probe(_codec: BlockCodec, chunk: Uint8Array, _scratch: Uint8Array): boolean {
  return chunk.length < 0;
}
