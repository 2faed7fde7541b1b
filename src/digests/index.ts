/** Every digest of a file from one pass: MD5, SHA-256, content identifiers, the Xet file hash. */
export {
  type ByteDigestName,
  type DigestKernels,
  MD5_END_BYTES,
  MD5_ENDS_ABOVE_BYTES,
} from './byte-digests.js';
export {
  type ByteDigests,
  createDigestRunner,
  type DigestRunner,
  type LeafHashes,
} from './digest-runner.js';
export {
  byteDigestsFor,
  createDigestTexts,
  DIGEST_NAMES,
  type DigestTexts,
} from './digest-texts.js';
export type { DigestMaker, DigestName, DigestStream, Digests } from './ports.js';
