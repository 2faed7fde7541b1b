/** The process that is measured when `@huggingface/xetchunk-wasm` is. */
import { open } from 'node:fs/promises';
import { readWork, reportWork } from './work-request.js';

interface Chunk {
  readonly hash: Uint8Array;
  readonly length: number;
}

/** What we use of its public surface. */
interface ChunkerModule {
  createChunker(): object;
  nextBlock(chunker: object, data: Uint8Array): Chunk[];
  finalize(chunker: object): Chunk | null;
  fileHash(chunks: readonly Chunk[]): Uint8Array;
}

/** The same as orbweaver reads. */
const READ_BYTES = 4 * 1024 * 1024;

const { work, settings } = await readWork();
if (work.op !== 'chunk') throw new Error(`no ${work.op}`);
const { createChunker, nextBlock, finalize, fileHash } = (await import(
  settings['entry'] as string
)) as ChunkerModule;
for (const path of work.paths) {
  const chunks: Chunk[] = [];
  const chunker = createChunker();
  const file = await open(path);
  const block = new Uint8Array(READ_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(block);
    if (bytesRead === 0) break;
    for (const chunk of nextBlock(chunker, block.subarray(0, bytesRead))) chunks.push(chunk);
  }
  await file.close();
  const last = finalize(chunker);
  if (last !== null) chunks.push(last);
  fileHash(chunks);
}
// Its cuts are not those of the reference, so its hashes cannot be compared: they are computed only.
reportWork({ hashes: [] });
