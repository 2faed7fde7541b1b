import type { Crc64OfPieces } from '../transport/index.js';

/** Bytes that are summed up without a pause: some 5 ms. */
const STRETCH_BYTES = 4 * 1024 * 1024;

/** CRC-64/NVME by the kernel; it is loaded with the first upload grant, which needs it. */
export const crc64: Crc64OfPieces = async (pieces, pause) => {
  const { createCrc64 } = await import('../kernels/web.js');
  const crc = await createCrc64();
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += STRETCH_BYTES) {
      crc.update(piece.subarray(at, at + STRETCH_BYTES));
      await pause();
    }
  }
  return crc.digest();
};
