import type { DigestName, Digests } from '../digests/index.js';
import { DIGEST_NAMES } from '../digests/index.js';
import { OrbweaverError } from '../errors.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { createDigestMaker } from '../workers/index.js';
import { toSource, type UploadInput } from './input.js';

/** Bytes that are read at a time, and how many such pieces are read or digested at once. */
const PIECE_BYTES: number = 1024 * 1024;
const PIECE_COUNT = 4;

/** Every digest of an input. */
export type DigestListing = { readonly sizeBytes: number } & Digests;

export interface DigestInputOptions {
  /** @default all */
  readonly names?: readonly DigestName[] | undefined;
  /** Threads at most; 0: all on the calling thread. @default 3 */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of the bytes that were read so far. */
  readonly onProgress?: ((readBytes: number, totalBytes: number | undefined) => void) | undefined;
}

const RULES: OptionRules<DigestInputOptions> = {
  names: is.texts,
  threads: is.integer(0),
  signal: is.signal,
  onProgress: is.callback,
};

/**
 * Digests of an input from one pass, in bounded memory.
 *
 * @throws OrbweaverError `INPUT_*` as the input deserves, `ABORTED`
 * @example
 * const { sizeBytes, sha256, cid1MiB1024 } = await digestInput('model.safetensors');
 */
export async function digestInput(
  input: UploadInput,
  options: DigestInputOptions = {},
): Promise<DigestListing> {
  checkOptions('digestInput', options, RULES);
  const { names = DIGEST_NAMES, threads, signal, onProgress } = options;
  const source = await toSource(input);
  const maker = createDigestMaker({ threads });
  try {
    const stream = maker.create(names, source.sizeBytes);
    const reader = await source.open(signal);
    let sizeBytes = 0;
    try {
      const pieces = Array.from({ length: PIECE_COUNT }, () => ({
        bytes: new Uint8Array(new SharedArrayBuffer(PIECE_BYTES)),
        digested: Promise.resolve(),
      }));
      for (let i = 0; ; i = (i + 1) % PIECE_COUNT) {
        if (signal?.aborted) throw new OrbweaverError('ABORTED', 'the digest was cancelled');
        const piece = pieces[i] as (typeof pieces)[number];
        await piece.digested;
        const count = await reader.read(piece.bytes);
        if (count === 0) break;
        piece.digested = stream.update(piece.bytes.subarray(0, count));
        piece.digested.catch(() => undefined);
        sizeBytes += count;
        onProgress?.(sizeBytes, source.sizeBytes);
      }
      await Promise.all(pieces.map(({ digested }) => digested));
    } finally {
      await reader.close();
    }
    return { sizeBytes, ...(await stream.finish()) };
  } finally {
    await maker.close();
  }
}
