import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import type { ChunkHashes } from '../ports.js';
import { downloadFile } from './download-file.js';
import { askProof, PROOF_EXTRA_MAX_BYTES, type RangeProof, rangeOfWindow } from './range-proof.js';
import type { DownloadOptions, DownloadRange, DownloadSummary } from './types.js';

/** Whether a range has to be proved against the file hash. */
export type VerifyRange = 'auto' | 'require' | 'off';

/** A store that may say which hashes the chunks of a file have. */
type ProvenDownloadOptions = DownloadOptions & { readonly cas: ChunkHashes };

/**
 * The same as `downloadFile`, but a range is proved against the file hash where the store offers what
 * that takes: one more request, and some chunks beyond the range (192 KiB as a rule). `auto` goes without
 * where it does not, or where more than 8 MiB would have to be read beyond; `require` refuses those.
 *
 * @throws what `downloadFile` does; OrbweaverError `UNVERIFIED` for a range that `require` refuses;
 * `INTEGRITY` for a wrong proof, and for bytes that do not fit it
 */
export async function downloadVerified(
  options: ProvenDownloadOptions,
  verifyRange: VerifyRange,
): Promise<DownloadSummary> {
  const { range, fileHash, sink } = options;
  const isWhole = range === undefined || (range.offset === 0 && range.length === undefined);
  if (isWhole || range.length === 0 || verifyRange === 'off' || fileHash.isZero()) {
    return downloadFile(options);
  }
  let proof: RangeProof | null;
  try {
    proof = await proofOf(options, range, verifyRange);
  } catch (error) {
    await sink.abort(error);
    throw error;
  }
  return proof === null ? downloadFile(options) : downloadProven(options, proof);
}

/** Null: the range is downloaded without one, or lies behind the end of the file. */
async function proofOf(
  { cas, fileHash, signal }: ProvenDownloadOptions,
  range: DownloadRange,
  verifyRange: VerifyRange,
): Promise<RangeProof | null> {
  const proof = await askProof(cas, { fileHash, range, signal });
  if (verifyRange === 'require') {
    if (proof !== null) return proof;
    const { offset } = range;
    const first = await cas.getReconstruction(fileHash, { start: offset, end: offset + 1 }, signal);
    if (first === null) return null;
    throw new OrbweaverError(
      'UNVERIFIED',
      `the range of file ${fileHash} expected a proof, but the store does not offer one`,
      { offset },
    );
  }
  if (proof === null) return null;
  const { window } = proof;
  const extraBytes = window.end - window.start - (proof.range.end - proof.range.start);
  return extraBytes > PROOF_EXTRA_MAX_BYTES ? null : proof;
}

async function downloadProven(
  options: ProvenDownloadOptions,
  proof: RangeProof,
): Promise<DownloadSummary> {
  const { window, range } = proof;
  const { onProgress, hasher } = options;
  const sizeBytes = range.end - range.start;
  try {
    const summary = await downloadFile({
      ...options,
      sink: rangeOfWindow(options.sink, proof),
      range: { offset: window.start, length: window.end - window.start },
      newTree: () => proof.newTree(hasher),
      onProgress:
        onProgress &&
        ((progress) => {
          const writtenBytes = Math.min(progress.writtenBytes, sizeBytes);
          onProgress({ ...progress, writtenBytes, totalBytes: sizeBytes });
        }),
    });
    return { ...summary, sizeBytes, requestCount: summary.requestCount + 1 };
  } catch (error) {
    // The window of a proof begins and ends between two chunks, or the proof is wrong.
    if (!isOrbweaverError(error) || error.fields['field'] !== 'offset_into_first_range')
      throw error;
    throw new OrbweaverError('INTEGRITY', error.message, error.fields, error);
  }
}
