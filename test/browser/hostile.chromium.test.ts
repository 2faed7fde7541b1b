import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, type Site, serveSite } from './support.js';

const FILE_BYTES = 6 * 1024 * 1024 + 3;

/** What a page sees; these tests have no types of the DOM. */
interface PageGlobals {
  readonly orbweaver: typeof BrowserEntry;
  /** Set by the tests. */
  readBytes: number;
  running: Promise<unknown>;
}

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'a page in the real world',
  () => {
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    let gateway: RunningGateway;
    let site: Site;
    let folder: string;
    let at: { readonly endpoint: string; readonly token: string };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-hostile-'));
      site = await serveSite({ isolated: false });
      site.files.set('/data', mixedBytes(FILE_BYTES, 51));
      [browser, gateway] = await Promise.all([
        launch(),
        startGateway({
          ...{ data: join(folder, 'data'), port: 0, hub: false },
          cors: { origins: [site.url] },
        }),
      ]);
      at = { endpoint: gateway.url, token: gateway.writeToken };
    });
    afterAll(async () => {
      await browser?.close();
      await gateway?.close();
      await site?.close();
      await rm(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      context = await browser.newContext();
      page = await context.newPage();
      await page.goto(`${site.url}/`);
      await page.waitForFunction('globalThis.orbweaver !== undefined');
    });
    afterEach(() => context.close());

    it('goes on when the network comes back, up and down', async () => {
      await page.evaluate(async ({ endpoint, token }) => {
        const globals = globalThis as unknown as PageGlobals;
        const blob = await (await fetch('/data')).blob();
        const retry = { retries: 50, baseDelayMs: 50, maxDelayMs: 100 };
        const client = await globals.orbweaver.createClient({ endpoint, token, retry });
        globals.readBytes = -1;
        globals.running = (async () => {
          // Off before the first request.
          while (globals.readBytes < 0) await new Promise((resolve) => setTimeout(resolve, 10));
          const { files, failed } = await client.upload(blob, { maxXorbBytes: 1024 * 1024 });
          const fileHash = files[0]?.fileHash as string;
          globals.readBytes = -2;
          while (globals.readBytes < 0) await new Promise((resolve) => setTimeout(resolve, 10));
          // Not by a Response, which hides why a stream failed.
          const pieces: Uint8Array<ArrayBuffer>[] = [];
          const writable = new WritableStream<Uint8Array<ArrayBuffer>>({
            write: (piece) => void pieces.push(piece),
          });
          await client.stream(fileHash).pipeTo(writable as WritableStream<Uint8Array>);
          const back = new Uint8Array(await new Blob(pieces).arrayBuffer());
          const original = new Uint8Array(await blob.arrayBuffer());
          await client.close();
          return {
            failed,
            same: back.length === original.length && back.every((b, i) => b === original[i]),
          };
        })();
      }, at);
      for (const phase of [-1, -2]) {
        await page.waitForFunction(`globalThis.readBytes === ${phase}`);
        await context.setOffline(true);
        await page.evaluate('globalThis.readBytes = 0');
        await page.waitForTimeout(300);
        await context.setOffline(false);
      }
      const found = await page.evaluate('globalThis.running');
      expect(found).toEqual({ failed: [], same: true });
    });

    it('says that it is offline, when it stays so', async () => {
      await page.evaluate(async ({ endpoint, token }) => {
        const globals = globalThis as unknown as PageGlobals;
        const retry = { retries: 1, baseDelayMs: 10 };
        globals.running = globals.orbweaver.createClient({ endpoint, token, retry });
        await globals.running;
      }, at);
      await context.setOffline(true);
      const found = await page.evaluate(async () => {
        const { running } = globalThis as unknown as PageGlobals;
        const client = (await running) as BrowserEntry.BrowserClient;
        const said = await client
          .stream('1'.repeat(64))
          .getReader()
          .read()
          .catch((error: { code: string; message: string }) => `${error.code}: ${error.message}`);
        await client.close();
        return said;
      });
      expect(found).toMatch(/^NETWORK: /);
    });

    it('tells of files that change, shrink or go while they are read, and sends the others', async () => {
      await page.evaluate(`document.body.innerHTML = '<input type="file" multiple>'`);
      const paths = ['grows', 'shrinks', 'goes', 'stays'].map((name) => join(folder, name));
      for (const [i, path] of paths.entries()) await writeFile(path, mixedBytes(2_000_000, 60 + i));
      await page.setInputFiles('input', paths);
      const [grows, shrinks, goes] = paths as [string, string, string];
      await appendFile(grows, 'more');
      await truncate(shrinks, 1_000_000);
      await rm(goes);
      const found = await page.evaluate(async ({ endpoint, token }) => {
        const { orbweaver } = globalThis as unknown as PageGlobals;
        const client = await orbweaver.createClient({ endpoint, token });
        const input = (
          globalThis as unknown as {
            document: { querySelector(name: string): { files: Iterable<File> } };
          }
        ).document.querySelector('input');
        const { files, failed } = await client.upload([...input.files]);
        await client.close();
        return {
          files: files.map(({ path, sizeBytes }) => `${path} ${sizeBytes}`),
          failed: failed.map(({ path, code }) => `${path} ${code}`),
        };
      }, at);
      expect(found.files).toEqual(['stays 2000000']);
      expect(found.failed.sort()).toEqual([
        expect.stringMatching(/^goes INPUT_/),
        expect.stringMatching(/^grows INPUT_/),
        expect.stringMatching(/^shrinks INPUT_/),
      ]);
    });

    it('takes files of 0 and 1 bytes, and a thousand at once, and gives each back', async () => {
      const found = await page.evaluate(async ({ endpoint, token }) => {
        const { orbweaver } = globalThis as unknown as PageGlobals;
        const client = await orbweaver.createClient({ endpoint, token, database: 'orbweaver' });
        const texts = [
          '',
          'x',
          ...Array.from({ length: 998 }, (_, i) => `file ${i} ${'y'.repeat(i)}`),
        ];
        const inputs = texts.map((text, i) => ({ name: `${i}`, data: new Blob([text]) }));
        let last: BrowserEntry.UploadProgress | undefined;
        const { files, failed } = await client.upload(inputs, {
          onProgress: (now) => {
            last = now;
          },
        });
        const wrong: string[] = [];
        for (const i of [0, 1, 2, 500, 999]) {
          const { fileHash = '', path = '' } = files.find((file) => file.path === `${i}`) ?? {};
          const text = await new Response(client.stream(fileHash)).text();
          if (text !== texts[i]) wrong.push(path);
        }
        await client.close();
        const { fileCount, doneFileCount } = last ?? {};
        return { count: files.length, failed, wrong, fileCount, doneFileCount };
      }, at);
      expect(found).toEqual({
        ...{ count: 1000, failed: [], wrong: [] },
        ...{ fileCount: 1000, doneFileCount: 1000 },
      });
    });
  },
);
