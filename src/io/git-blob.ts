import { createHash } from 'node:crypto';

/** What git calls a file: SHA-1 of a header with its size, and its bytes. Hubs name small files by it. */
export interface GitBlobHash {
  update(bytes: Uint8Array): void;
  /** 40 hexadecimal digits. Once. */
  digest(): string;
}

/** The name of a file of `sizeBytes` whose bytes come one after another. */
export function createGitBlobHash(sizeBytes: number): GitBlobHash {
  const hash = createHash('sha1').update(`blob ${sizeBytes}\0`);
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => hash.digest('hex'),
  };
}

/** The name of a file of these bytes. */
export function gitBlobId(bytes: Uint8Array): string {
  const hash = createGitBlobHash(bytes.length);
  hash.update(bytes);
  return hash.digest();
}
