import type { ByteDigestName, ByteDigests, LeafHashes } from '../digests/index.js';

/** What a digest thread is started with. */
export interface DigestSetup {
  /** It computes file hashes. */
  readonly kernels: boolean;
}

/** Tasks of a stream are done in the order in which they are posted; `update` and `finish` are replied to. */
export type DigestTask =
  | { readonly kind: 'open'; readonly stream: number; readonly names: readonly ByteDigestName[] }
  /** The bytes lie in shared memory, or came along. */
  | { readonly kind: 'update'; readonly stream: number; readonly bytes: Uint8Array }
  | { readonly kind: 'finish'; readonly stream: number }
  | { readonly kind: 'drop'; readonly stream: number };

export type DigestReply =
  | {
      readonly stream: number;
      readonly ok: true;
      readonly leaves: LeafHashes;
      readonly digests?: ByteDigests;
    }
  | { readonly stream: number; readonly ok: false; readonly message: string };
