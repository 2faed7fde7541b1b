import { createHash } from 'node:crypto';

/**
 * Names of what the Hub keeps. Clients of the Hub take 40 hexadecimal digits as the name of a commit, so
 * trees and commits are named by the first 160 bits of the SHA-256 of their bytes.
 */

export const OBJECT_ID: RegExp = /^[0-9a-f]{40}$/;
export const SHA256_HEX: RegExp = /^[0-9a-f]{64}$/;

/** The name of a stored tree or commit. */
export function objectId(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 40);
}

/** The file that stands in a git repository for one that Git LFS keeps. */
export function lfsPointer(sha256: string, sizeBytes: number): Uint8Array {
  return new TextEncoder().encode(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${sizeBytes}\n`,
  );
}

export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** Lower-case hex. Once. */
  digest(): string;
}

/** SHA-256 of bytes that come one after another. */
export function createSha256(): Sha256 {
  const hash = createHash('sha256');
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest('hex'),
  };
}
