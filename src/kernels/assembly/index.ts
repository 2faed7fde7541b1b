/**
 * Entry of the kernels: what the adapter (`../simd-*.ts`) may call. All addresses are in the
 * imported memory; `layout.ts` says what lies where. Nothing here allocates.
 */
export { bg4Join, bg4Split } from './bg4';
export {
  blake3,
  blake3Begin,
  blake3Finish,
  blake3Many,
  blake3Push,
  hashChunks,
} from './blake3';
export { cutChunks } from './cut';
export { decodeRecords, hashRecords } from './decode';
export { gearScan } from './gear';
export {
  DIGEST_COUNT,
  DIGESTS,
  GEAR_TABLE,
  KEY,
  LIST,
  LIST_COUNT,
  PIECE_BYTES,
  SCRATCH_BYTES,
  STAGE,
  STAGE_HALF_BYTES,
  setScratch,
  STATIC_BYTES,
} from './layout';
export { lz4Compress } from './lz4-compress';
export { lz4Decompress } from './lz4-decompress';
export { packRecords } from './pack';

/** `n` bytes; the two may overlap. Not bound to the words' limits that engines put on typed arrays. */
export function copy(from: usize, n: usize, to: usize): void {
  memory.copy(to, from, n);
}

/** First address after the static data, for the build's check against STATIC_BYTES. */
export function staticEnd(): usize {
  return __heap_base;
}
