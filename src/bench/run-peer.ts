/** The process that is measured when a peer of JavaScript is: the Hub's client, or its chunker. */
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import {
  type ChunkWork,
  type DownloadWork,
  readWork,
  reportWork,
  type UploadWork,
  type WorkRequest,
} from './work.js';

/** What we use of the public surface of `@huggingface/hub`. */
interface HubModule {
  uploadFiles(params: object): Promise<unknown>;
  downloadFile(params: object): Promise<Blob | null>;
}

interface Chunk {
  readonly hash: Uint8Array;
  readonly length: number;
}

/** What we use of the public surface of `@huggingface/xetchunk-wasm`. */
interface ChunkerModule {
  createChunker(): object;
  nextBlock(chunker: object, data: Uint8Array): Chunk[];
  finalize(chunker: object): Chunk | null;
  fileHash(chunks: readonly Chunk[]): Uint8Array;
}

/** The same as orbweaver reads. */
const READ_BYTES = 4 * 1024 * 1024;
/** The client refuses tokens that do not look like the Hub's. */
const ACCESS_TOKEN = 'hf_bench';
const REPO = 'bench/bench';

const { work, entry } = await readWork<{ work: WorkRequest; entry: string }>();
const peer: unknown = await import(entry);
if (work.op === 'upload') await upload(peer as HubModule, work);
else if (work.op === 'download') await download(peer as HubModule, work);
else if (work.op === 'chunk') await chunk(peer as ChunkerModule, work);
else throw new Error(`no ${work.op}`);
// The client tells no hashes; those of the chunker cannot be compared: its cuts are not the reference's.
reportWork({ hashes: [] });

async function upload(hub: HubModule, { server, paths }: UploadWork): Promise<void> {
  const files = paths.map((path, index) => ({
    path: `${index}-${basename(path)}`,
    content: pathToFileURL(path),
  }));
  const { hubUrl } = server;
  await hub.uploadFiles({ repo: REPO, accessToken: ACCESS_TOKEN, hubUrl, files });
}

async function download(hub: HubModule, work: DownloadWork): Promise<void> {
  const { server, hash, sizeBytes, path, range } = work;
  const { endpoint, hubUrl, token } = server;
  const refreshUrl = new URL(`${hubUrl}/api/models/${REPO}/xet-read-token/main`);
  const reconstructionUrl = new URL(`${endpoint}/v2/reconstructions/${hash}`);
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const whole = await hub.downloadFile({
    repo: REPO,
    path: 'file',
    accessToken: ACCESS_TOKEN,
    hubUrl,
    downloadInfo: {
      size: sizeBytes,
      etag: hash,
      url: refreshUrl.href,
      xet: { hash, refreshUrl, reconstructionUrl },
    },
    xet: { readToken: { accessToken: token, casUrl: endpoint, exp } },
  });
  if (whole === null) throw new Error('the file was not found');
  const blob = range === null ? whole : whole.slice(range.start, range.end);
  const body = blob.stream() as Parameters<typeof Readable.fromWeb>[0];
  await pipeline(Readable.fromWeb(body), createWriteStream(path));
}

async function chunk(module: ChunkerModule, { paths }: ChunkWork): Promise<void> {
  const block = new Uint8Array(READ_BYTES);
  for (const path of paths) {
    const chunker = module.createChunker();
    const chunks: Chunk[] = [];
    const file = await open(path);
    for (;;) {
      const { bytesRead } = await file.read(block);
      if (bytesRead === 0) break;
      for (const next of module.nextBlock(chunker, block.subarray(0, bytesRead))) chunks.push(next);
    }
    await file.close();
    const last = module.finalize(chunker);
    module.fileHash(last === null ? chunks : [...chunks, last]);
  }
}
