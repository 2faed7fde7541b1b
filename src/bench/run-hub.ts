/** The process that is measured when `@huggingface/hub` is. */
import { createWriteStream } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { type DownloadWork, readWork, reportWork, type UploadWork } from './work-request.js';

/** What we use of its public surface. */
interface HubModule {
  uploadFiles(params: {
    readonly repo: string;
    readonly accessToken: string;
    readonly hubUrl: string;
    readonly files: readonly { readonly path: string; readonly content: URL }[];
  }): Promise<unknown>;
  downloadFile(params: {
    readonly repo: string;
    readonly path: string;
    readonly accessToken: string;
    readonly hubUrl: string;
    readonly downloadInfo: object;
    readonly xet: object;
  }): Promise<Blob | null>;
}

/** It refuses tokens that do not look like the Hub's. */
const ACCESS_TOKEN = 'hf_bench';
const REPO = 'bench/bench';

const { work, settings } = await readWork();
const hub = (await import(settings['entry'] as string)) as HubModule;
if (work.op === 'upload') await upload(work);
else if (work.op === 'download') await download(work);
else throw new Error(`no ${work.op}`);
reportWork({ hashes: [] });

async function upload({ server, paths }: UploadWork): Promise<void> {
  await hub.uploadFiles({
    repo: REPO,
    accessToken: ACCESS_TOKEN,
    hubUrl: server.hubUrl,
    files: paths.map((path, index) => ({
      path: `${index}-${basename(path)}`,
      content: pathToFileURL(path),
    })),
  });
}

async function download({ server, hash, sizeBytes, path, range }: DownloadWork): Promise<void> {
  const tokenUrl = new URL(`${server.hubUrl}/api/models/${REPO}/xet-read-token/main`);
  const whole = await hub.downloadFile({
    repo: REPO,
    path: 'file',
    accessToken: ACCESS_TOKEN,
    hubUrl: server.hubUrl,
    downloadInfo: {
      size: sizeBytes,
      etag: hash,
      url: tokenUrl.href,
      xet: {
        hash,
        refreshUrl: tokenUrl,
        reconstructionUrl: new URL(`${server.endpoint}/v2/reconstructions/${hash}`),
      },
    },
    xet: {
      readToken: {
        accessToken: server.token,
        casUrl: server.endpoint,
        exp: Math.floor(Date.now() / 1000) + 3600,
      },
    },
  });
  if (whole === null) throw new Error('the file was not found');
  const blob = range === null ? whole : whole.slice(range.start, range.end);
  const body = blob.stream() as Parameters<typeof Readable.fromWeb>[0];
  await pipeline(Readable.fromWeb(body), createWriteStream(path));
}
