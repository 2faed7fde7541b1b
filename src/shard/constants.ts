/** Numbers of the shard format (protocol reference: shard). */

/** Every record has this many bytes. */
export const RECORD_BYTES = 48;
/** Length of the footer, and the value of the header field when there is one. */
export const FOOTER_BYTES = 200;
/** The only header version known. */
export const SHARD_VERSION = 2;
/** The only footer version known. */
export const FOOTER_VERSION = 1;
/** Largest shard that a server takes, in bytes (specification and reference client: 64 MiB). */
export const SHARD_MAX_BYTES: number = 64 * 1024 * 1024;

/** File header flag: a verification entry per term follows. */
export const FILE_FLAG_VERIFICATION = 0x80000000;
/** File header flag: a metadata record with the SHA-256 follows. */
export const FILE_FLAG_METADATA = 0x40000000;
/** Chunk flag: a global dedup query may find this chunk whatever its hash is. */
export const CHUNK_FLAG_GLOBAL_DEDUP = 0x80000000;

/** Expiry of a shard that never expires (u64::MAX, written by local shards). */
export const NEVER_EXPIRES: bigint = 0xffff_ffff_ffff_ffffn;

/** Bytes of one entry of the file and of the xorb lookup table: u64 truncated hash, u32 index. */
export const LOOKUP_ENTRY_BYTES = 12;
/** Bytes of one entry of the chunk lookup table: u64 truncated hash, u32 xorb index, u32 chunk. */
export const CHUNK_LOOKUP_ENTRY_BYTES = 16;

/**
 * First 32 bytes of every shard: `HFRepoMetaData`, a zero byte and 17 fixed bytes (origin: the
 * reference client's `MDB_SHARD_HEADER_TAG`; known-answer vector `shard/header_bytes`).
 */
export const SHARD_TAG: Uint8Array = new Uint8Array([
  0x48, 0x46, 0x52, 0x65, 0x70, 0x6f, 0x4d, 0x65, 0x74, 0x61, 0x44, 0x61, 0x74, 0x61, 0x00, 0x55,
  0x69, 0x67, 0x45, 0x6a, 0x7b, 0x81, 0x57, 0x83, 0xa5, 0xbd, 0xd9, 0x5c, 0xcd, 0xd1, 0x4a, 0xa9,
]);

/**
 * Most chunks of one xorb that a reader takes. Writers stop at 8192; the lookup tables of the
 * reference client hold 16-bit chunk numbers, so nobody can refer to more than this.
 */
export const XORB_CHUNKS_ACCEPT_MAX = 65536;
