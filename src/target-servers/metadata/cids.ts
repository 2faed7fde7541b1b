import { createReadStream } from 'node:fs';
import {
  byteDigestsFor,
  createDigestRunner,
  createDigestTexts,
  type DigestName,
  type Digests,
} from '../../digests/index.js';

const NAMES: readonly DigestName[] = ['cidRaw', 'cid256KiB174', 'cid1MiB1024'];

/** The content identifiers of a file under each importer that is known. */
export async function cidsOf(path: string): Promise<Digests> {
  const runner = createDigestRunner(byteDigestsFor(NAMES), null);
  const texts = await createDigestTexts(NAMES);
  let sizeBytes = 0;
  for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
    texts.leaves(runner.update(piece));
    sizeBytes += piece.length;
  }
  const { digests, leaves } = runner.finish();
  texts.leaves(leaves);
  return texts.finish(digests, sizeBytes);
}
