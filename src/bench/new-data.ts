import { open } from 'node:fs/promises';
import { XorbBuilder } from '../formats.js';
import { chunkInput, loadKernels } from '../index.js';
import type { Input } from './inputs.js';
import type { NewData } from './types.js';

/** What is new in an input beside what is known, at the level of chunks, each counted once. */
export async function newDataOf(known: Input, input: Input): Promise<NewData> {
  const seen = new Set<string>();
  for (const path of known.paths) {
    for (const { hash } of (await chunkInput(path)).chunks) seen.add(hash);
  }
  const { codec, hasher } = await loadKernels();
  const builder = new XorbBuilder({ codec, hasher });
  let [chunkCount, rawBytes, packedBytes] = [0, 0, 0];
  for (const path of input.paths) {
    const { chunks } = await chunkInput(path);
    const file = await open(path);
    try {
      for (const { offset, length, hash } of chunks) {
        if (seen.has(hash)) continue;
        seen.add(hash);
        chunkCount++;
        rawBytes += length;
        const bytes = new Uint8Array(length);
        await file.read(bytes, 0, length, offset);
        if (builder.add(bytes)) continue;
        packedBytes += builder.serializedBytes;
        builder.finish();
        builder.add(bytes);
      }
    } finally {
      await file.close();
    }
  }
  return { chunkCount, rawBytes, packedBytes: packedBytes + builder.serializedBytes };
}
