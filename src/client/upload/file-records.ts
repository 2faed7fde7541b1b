import { ByteReader, ByteWriter } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';
import { decodeShard, encodeShard, type ShardFile } from '../../shard/index.js';

/**
 * Records of files that were uploaded, by what tells that a file is still the same, as they lie in a
 * cache:
 *
 *     magic u32 | count u32 | written, milliseconds since the Unix epoch, u64
 *     count × ( identity, 40 bytes | hash of the file, 32 bytes )
 *     a shard of those files, an upload body without xorbs
 */
const MAGIC = 0x3146574f;
/** Bytes of what tells that a file is still the same (`Source.identity`). */
export const IDENTITY_BYTES = 40;
const HEADER_BYTES = 16;
const ENTRY_BYTES: number = IDENTITY_BYTES + HASH_BYTES;

/** One file. */
export interface FileRecord {
  /** {@link IDENTITY_BYTES} bytes. */
  readonly identity: Uint8Array;
  /** With verification. */
  readonly file: ShardFile;
}

/** What {@link decodeFileRecords} gives. */
export interface FileRecords {
  readonly writtenAtMs: number;
  readonly records: readonly FileRecord[];
}

/** @throws OrbweaverError `LIMIT_EXCEEDED` above 64 MiB of records */
export function encodeFileRecords({ writtenAtMs, records }: FileRecords): Uint8Array {
  const files = records.map(({ file }) => file);
  const shard = encodeShard({ files, xorbs: [], footer: null }, { variant: 'upload' });
  const writer = new ByteWriter(HEADER_BYTES + ENTRY_BYTES * records.length + shard.length);
  writer.u32(MAGIC).u32(records.length).u64(Math.floor(writtenAtMs));
  for (const { identity, file } of records) writer.bytes(identity).bytes(file.hash.bytes);
  return writer.bytes(shard).finish();
}

/** @throws OrbweaverError `FORMAT_INVALID`, `TRUNCATED`, and what `decodeShard` throws */
export function decodeFileRecords(bytes: Uint8Array): FileRecords {
  const reader = new ByteReader(bytes);
  const magic = reader.u32('magic');
  if (magic !== MAGIC) {
    throw new OrbweaverError('FORMAT_INVALID', `"magic" expected ${MAGIC}, got ${magic}`);
  }
  const count = reader.u32('count');
  const writtenAtMs = Number(reader.u64('written'));
  if (count * ENTRY_BYTES > reader.remaining) {
    throw new OrbweaverError('TRUNCATED', `"count" expected ${count} entries, got fewer bytes`);
  }
  const entries = reader.view(count * ENTRY_BYTES, 'entries');
  const { files } = decodeShard(reader.view(reader.remaining, 'shard'));
  const byHash = new Map(files.map((file) => [file.hash.toString(), file]));
  const records: FileRecord[] = [];
  for (let at = 0; at < entries.length; at += ENTRY_BYTES) {
    const identity = entries.slice(at, at + IDENTITY_BYTES);
    const hash = entries.subarray(at + IDENTITY_BYTES, at + ENTRY_BYTES);
    const file = byHash.get(MerkleHash.from(hash).toString());
    // A record without verification could not be registered again.
    if (file !== undefined && file.verification !== null) records.push({ identity, file });
  }
  return { writtenAtMs, records };
}
