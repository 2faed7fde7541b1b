/**
 * The one place that says what lies where in memory. Addresses grow downwards in the drawings.
 *
 *   0 ─────────────── never used: a null pointer hits nothing
 *   1024 ──────────── static data of the compiled module (`memoryBase`). Each instantiation writes
 *                     it again, maybe while other threads run, so nothing here ever changes.
 *   STATIC_BYTES ──── everything above belongs to the caller: slabs, and one scratch space for
 *                     each instance, at the address that `init` got. Two instances in one memory
 *                     share no byte of scratch.
 *
 *   scratch ───────── GEAR_TABLE   256 x u64, written once by the adapter
 *     + 2048          KEY          32 bytes, written by the adapter before each hash
 *     + 2112          LANE_CV      chaining values of four lanes: 8 vectors, word i of lane 0 1 2 3
 *     + 2240          LANE_KEPT    LANE_CV before a block, for lanes that have ended
 *     + 2368          LANE_PAD     4 x 64 bytes: last block of each lane, filled up with zeros
 *     + 2624          TREE         128 x 32 bytes: chaining values of one piece, reduced in place
 *     + 6720          STACK        54 x 32 bytes: chaining values of whole pieces (2^64 bytes deep)
 *     + 8448          LANE_HITS    u32 list: candidates of the scan's second lane
 *     + 16640         LZ4_TABLE    8192 x u32: address of a hash's last sighting
 *     + 49408         LIST         4096 x u32: candidates and chunk ends out, piece ends in
 *     + 65792         DIGESTS      1024 x 32 bytes: digests out
 *     + 98560         GROUP_COUNTS 4 x 256 x u16: bytes of a chunk's sample by group and value
 *     + 100608        STAGE        copies of arguments that lie outside this memory: one stretch
 *                                  for scan and hash, two halves (in, out) for the codecs. While
 *                                  records are packed: three chunks of 128 KiB (grouped, and two
 *                                  candidates). While they are decoded: a grouped chunk and, in
 *                                  the second half, one that is only hashed
 *   + SCRATCH_BYTES ─ end of the scratch space
 */

/** Addresses below are the module's own. */
export const STATIC_BYTES: usize = 65536;

export const GEAR_TABLE: usize = 0;
export const KEY: usize = 2048;
export const LANE_CV: usize = 2112;
export const LANE_KEPT: usize = 2240;
export const LANE_PAD: usize = 2368;
export const TREE: usize = 2624;
export const STACK: usize = 6720;
export const LANE_HITS: usize = 8448;
export const LZ4_TABLE: usize = 16640;
export const LIST: usize = 49408;
export const DIGESTS: usize = 65792;
export const GROUP_COUNTS: usize = 98560;
export const STAGE: usize = 100608;

/** Entries of LIST. */
export const LIST_COUNT: usize = 4096;
/** Entries of DIGESTS. */
export const DIGEST_COUNT: usize = 1024;
/** Bytes of the scan's lanes; LANE_HITS holds one u32 for each. */
export const LANE_BYTES: usize = 2048;
/** A piece of the hash tree: 128 leaves of 1 KiB, the longest chunk of the default target. */
export const PIECE_BYTES: usize = 131072;
/** Longest chunk of a record. */
export const CHUNK_BYTES: usize = 131072;
/** Half of STAGE. Three chunks in all, and so room for a chunk and what its LZ4 block may add. */
export const STAGE_HALF_BYTES: usize = 196608;
/** 100608 + 2 x 196608, rounded up to whole pages of 64 KiB. */
export const SCRATCH_BYTES: usize = 524288;

/** Start of this instance's scratch. A global of the instance, not of the memory. */
export let scratch: usize = 0;

/** Sets the start of the scratch space: a multiple of 64. Called once, before anything else. */
export function setScratch(base: usize): void {
  scratch = base;
}
