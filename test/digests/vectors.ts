import { createCipheriv, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** fixtures/targets/vectors.json, and the contents that it speaks of. */

interface CidFile {
  readonly size: number;
  readonly sha256: string;
  readonly md5: string;
  readonly rawCid: string;
  readonly cid256KiB174: string;
  readonly cid1MiB1024: string;
}

export interface TargetVectors {
  readonly pattern: { readonly rule: string };
  readonly cid: {
    readonly files: readonly CidFile[];
    readonly kubo: readonly { content: string; size?: number; cid: string; profile: string }[];
  };
  readonly drive: {
    readonly [key: string]: unknown;
    readonly hash: {
      readonly cases: readonly {
        content: string;
        size: number;
        drive_hash: string;
        full_md5?: string;
      }[];
    };
    readonly chunk_plan_g0: readonly ChunkPlanCase[];
    readonly chunk_plan_g1: readonly ChunkPlanCase[];
  };
  readonly cascade: {
    readonly sevenzip_store: {
      name: string;
      content_utf8: string;
      archive_len: number;
      archive_hex: string;
      sha256: string;
    };
  };
}

export interface ChunkPlanCase {
  readonly file_size: number;
  readonly chunk_size: number;
  readonly chunks_count: number;
  readonly last: number;
}

export function targetVectors(): TargetVectors {
  const url = new URL('../../fixtures/targets/vectors.json', import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as TargetVectors;
}

/** `byte[i] = ((i mod 256)*31 + 7) mod 256` */
export function patternBytes(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const period = Math.min(size, 256);
  for (let i = 0; i < period; i++) bytes[i] = (i * 31 + 7) % 256;
  for (let filled = period; filled < size; filled *= 2) {
    bytes.copyWithin(filled, 0, Math.min(filled, size - filled));
  }
  return bytes;
}

/** The keystream that kubo's own tests use. */
export function chacha20Bytes(seed: string, size: number): Uint8Array {
  const key = createHash('sha256').update(seed).digest();
  return new Uint8Array(
    createCipheriv('chacha20', key, Buffer.alloc(16)).update(Buffer.alloc(size)),
  );
}
