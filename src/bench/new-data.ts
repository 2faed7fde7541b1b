import { type FileHandle, open } from 'node:fs/promises';
import { XorbBuilder } from '../formats.js';
import { chunkInput, loadKernels } from '../index.js';
import type { Input, InputPair } from './inputs.js';
import type { NewData } from './types.js';

/** What is new in the second version at the level of chunks, each counted once. */
export async function newDataOf({ first, second }: InputPair): Promise<NewData> {
  const known = new Set<string>();
  for (const path of first.paths) {
    for (const chunk of (await chunkInput(path)).chunks) known.add(chunk.hash);
  }
  return packUnknown(second, known);
}

/** Counts and packs the chunks of an input that are not `known`, which then are. */
async function packUnknown(input: Input, known: Set<string>): Promise<NewData> {
  const { codec, hasher } = await loadKernels();
  const builder = new XorbBuilder({ codec, hasher });
  let chunkCount = 0;
  let rawBytes = 0;
  let packedBytes = 0;
  for (const path of input.paths) {
    const { chunks } = await chunkInput(path);
    const file = await open(path);
    try {
      for (const { offset, length, hash } of chunks) {
        if (known.has(hash)) continue;
        known.add(hash);
        chunkCount++;
        rawBytes += length;
        const bytes = await readChunk(file, offset, length);
        if (builder.add(bytes)) continue;
        packedBytes += builder.serializedBytes;
        builder.finish();
        builder.add(bytes);
      }
    } finally {
      await file.close();
    }
  }
  packedBytes += builder.serializedBytes;
  return { chunkCount, rawBytes, packedBytes };
}

async function readChunk(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  if (bytesRead !== length) throw new Error('the file changed while it was read');
  return bytes;
}
