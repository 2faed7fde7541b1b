import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { createClient } from '../../dist/index.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, openPage, type Site, serveSite } from './support.js';

const FILE_BYTES = 9 * 1024 * 1024 + 123;

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'a client in a page',
  () => {
    let browser: Browser;
    let gateway: RunningGateway;
    let folder: string;
    const data = mixedBytes(FILE_BYTES);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-browser-'));
      [browser, gateway] = await Promise.all([
        launch(),
        startGateway({ data: folder, port: 0, cors: { origins: '*' }, hub: false }),
      ]);
    });
    afterAll(async () => {
      await browser?.close();
      await gateway?.close();
      await rm(folder, { recursive: true, force: true });
    });

    for (const isolated of [true, false]) {
      describe(isolated ? 'that is isolated' : 'that is not isolated', () => {
        let site: Site;
        let page: Page;
        beforeAll(async () => {
          site = await serveSite({ isolated });
          site.files.set('/data', data);
          page = await openPage(browser, site);
        });
        afterAll(async () => {
          await page?.close();
          await site?.close();
        });

        it('uploads and gives back the same bytes', async () => {
          const found = await page.evaluate(
            async ({ endpoint, token }) => {
              const { orbweaver } = globalThis as unknown as { orbweaver: typeof BrowserEntry };
              const client = await orbweaver.createClient({ endpoint, token });
              const blob = await (await fetch('/data')).blob();
              const digest = async (bytes: ArrayBuffer) =>
                [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].join();
              const { files, failed } = await client.upload(new File([blob], 'data.bin'), {
                sha256: true,
              });
              const fileHash = files[0]?.fileHash as string;
              const back = await new Response(client.stream(fileHash)).arrayBuffer();
              const part = await new Response(
                client.stream(fileHash, { offset: 1_000_000, length: 100_000 }),
              ).arrayBuffer();
              const original = await blob.arrayBuffer();
              const result = {
                file: files[0],
                failed,
                shared: client.sharedMemory,
                threads: client.threads,
                tier: client.tier,
                same: (await digest(back)) === (await digest(original)),
                samePart:
                  (await digest(part)) === (await digest(original.slice(1_000_000, 1_100_000))),
              };
              await client.close();
              return result;
            },
            { endpoint: gateway.url, token: gateway.writeToken },
          );
          expect(found).toMatchObject({ failed: [], same: true, samePart: true, tier: 'simd' });
          expect(found.shared).toBe(isolated);
          expect(found.threads).toBeGreaterThan(0);
          const node = await createClient({});
          const here = await node.upload(
            { name: 'data.bin', data },
            { dryRun: true, sha256: true },
          );
          await node.close();
          expect(found.file).toMatchObject({
            path: 'data.bin',
            sizeBytes: FILE_BYTES,
            fileHash: here.files[0]?.fileHash,
            sha256: here.files[0]?.sha256,
            chunkCount: here.files[0]?.chunkCount,
          });
        });
      });
    }
  },
);
