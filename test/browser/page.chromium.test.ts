import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, openPage, type Site, serveSite } from './support.js';

/** What a page sees of our entry point and of a browser; these tests have no types of the DOM. */
interface PageGlobals {
  readonly orbweaver: typeof BrowserEntry;
  readonly navigator: {
    readonly storage: { getDirectory(): Promise<Folder> };
  };
  /** Set by the tests. */
  acknowledged: number;
}

interface Folder {
  getFileHandle(
    name: string,
    options?: { create: boolean },
  ): Promise<
    BrowserEntry.OutputFile & {
      getFile(): Promise<Blob>;
    }
  >;
}

const FILE_BYTES = 5 * 1024 * 1024;
const XORB_BYTES = 1024 * 1024;

describe.skipIf(chromiumPath() === null)(chromiumPath() === null ? NO_CHROMIUM : 'a page', () => {
  let browser: Browser;
  let gateway: RunningGateway;
  let site: Site;
  let page: Page;
  let folder: string;
  let at: { readonly endpoint: string; readonly token: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-page-'));
    [browser, gateway, site] = await Promise.all([
      launch(),
      startGateway({ data: folder, port: 0, cors: { origins: '*' }, hub: false }),
      serveSite({ isolated: true }),
    ]);
    at = { endpoint: gateway.url, token: gateway.writeToken };
    page = await openPage(browser, site);
  });
  afterAll(async () => {
    await browser?.close();
    await gateway?.close();
    await site?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('goes on with an upload that a reload has cut off, and remembers what it has uploaded', async () => {
    site.files.set('/data', mixedBytes(FILE_BYTES, 3));
    const options = { ...at, xorbBytes: XORB_BYTES };

    // Three xorbs are acknowledged; the fourth one never is.
    await page.evaluate(async ({ endpoint, token, xorbBytes }) => {
      const globals = globalThis as unknown as PageGlobals;
      globals.acknowledged = 0;
      const held: typeof fetch = async (url, init) => {
        const isXorb = init?.method === 'POST' && String(url).includes('/v1/xorbs/');
        if (isXorb && globals.acknowledged === 3) return new Promise<Response>(() => {});
        const response = await fetch(url, init);
        if (isXorb) globals.acknowledged++;
        return response;
      };
      const client = await globals.orbweaver.createClient({
        ...{ endpoint, token, database: 'orbweaver', concurrency: 1, fetch: held },
      });
      const blob = await (await fetch('/data')).blob();
      const file = new File([blob], 'data.bin', { lastModified: 1 });
      client.upload(file, { maxXorbBytes: xorbBytes }).catch(() => {});
    }, options);
    // What is acknowledged is written down a moment later.
    await page.evaluate(`(async () => {
      const database = await new Promise((resolve) => {
        const opening = indexedDB.open('orbweaver');
        opening.onsuccess = () => resolve(opening.result);
      });
      const count = () => new Promise((resolve) => {
        const counting = database.transaction('blocks').objectStore('blocks').count();
        counting.onsuccess = () => resolve(counting.result);
      });
      while ((await count()) < 3) await new Promise(requestAnimationFrame);
      database.close();
    })()`);
    await page.reload();
    await page.waitForFunction('globalThis.orbweaver !== undefined');

    const found = await page.evaluate(async ({ endpoint, token, xorbBytes }) => {
      const { orbweaver } = globalThis as unknown as PageGlobals;
      const blob = await (await fetch('/data')).blob();
      const file = new File([blob], 'data.bin', { lastModified: 1 });
      const upload = async () => {
        let sentCount = 0;
        const counted: typeof fetch = (url, init) => {
          if (init?.method === 'POST' && String(url).includes('/v1/xorbs/')) sentCount++;
          return fetch(url, init);
        };
        const client = await orbweaver.createClient({
          ...{ endpoint, token, database: 'orbweaver', fetch: counted },
        });
        const { files, failed } = await client.upload(file, { maxXorbBytes: xorbBytes });
        const back = await new Response(client.stream(files[0]?.fileHash as string)).arrayBuffer();
        await client.close();
        const original = new Uint8Array(await blob.arrayBuffer());
        const same = new Uint8Array(back).every((byte, i) => byte === original[i]);
        return { file: files[0], failed, sentCount, same, sizeBytes: back.byteLength };
      };
      const dry = await orbweaver.createClient({});
      const fresh = await dry.upload(file, { maxXorbBytes: xorbBytes, dryRun: true });
      await dry.close();
      return { fresh, second: await upload(), third: await upload() };
    }, options);
    const { fresh, second, third } = found;
    expect(second).toMatchObject({ failed: [], same: true, sizeBytes: FILE_BYTES });
    expect(second.sentCount).toBe(fresh.xorbCount - 3);
    expect(third).toMatchObject({ failed: [], same: true, sentCount: 0 });
    expect(third.file?.localBytes).toBe(FILE_BYTES);
  });

  it('writes into a file of its own storage, which a failed download leaves as it was', async () => {
    site.files.set('/data', mixedBytes(FILE_BYTES, 4));
    const found = await page.evaluate(async ({ endpoint, token }) => {
      const { orbweaver, navigator } = globalThis as unknown as PageGlobals;
      const client = await orbweaver.createClient({ endpoint, token });
      const blob = await (await fetch('/data')).blob();
      // A stream of unknown length.
      const { files } = await client.upload({ name: 'streamed', data: blob.stream() });
      const fileHash = files[0]?.fileHash as string;
      const handle = await (await navigator.storage.getDirectory()).getFileHandle('copy', {
        create: true,
      });
      const result = await client.download(fileHash, { to: handle });
      const failure = await client
        .download('0'.repeat(63).concat('1'), { to: handle })
        .catch((error: { code: string }) => error.code);
      const copy = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      const original = new Uint8Array(await blob.arrayBuffer());
      await client.close();
      return {
        ...{ result, failure, file: files[0] },
        same: copy.length === original.length && copy.every((byte, i) => byte === original[i]),
      };
    }, at);
    expect(found.same).toBe(true);
    expect(found.file).toMatchObject({ path: 'streamed', sizeBytes: FILE_BYTES });
    expect(found.result).toMatchObject({ sizeBytes: FILE_BYTES, verified: true });
    expect(found.failure).toBe('NOT_FOUND');
  });

  it('stops when it is told to, and says what is wrong with what it is given', async () => {
    site.files.set('/data', mixedBytes(FILE_BYTES, 5));
    const found = await page.evaluate(async ({ endpoint, token }) => {
      const { orbweaver } = globalThis as unknown as PageGlobals;
      const said = async (run: () => unknown): Promise<string> => {
        try {
          await run();
          return 'nothing';
        } catch (error) {
          const { code, name, message } = error as { code?: string; name: string; message: string };
          return `${code ?? name}: ${message}`;
        }
      };
      const client = await orbweaver.createClient({ endpoint, token });
      const blob = await (await fetch('/data')).blob();
      const controller = new AbortController();
      const aborted = await said(() =>
        client.upload(blob, {
          signal: controller.signal,
          onProgress: () => controller.abort(),
        }),
      );
      const { files } = await client.upload(blob);
      const reader = client.stream(files[0]?.fileHash as string).getReader();
      await reader.read();
      await reader.cancel();
      const wrong = [
        await said(() => client.upload('path' as unknown as Blob)),
        await said(() => client.upload(blob, { expand: true } as object)),
        await said(() => client.stream('no hash').getReader().read()),
        await said(() =>
          orbweaver.createClient({ endpoint, workerUrl: '/none.js', tokn: '' } as object),
        ),
      ];
      await client.close();
      const lost = await orbweaver.createClient({ endpoint, token, workerUrl: '/none.js' });
      const { failed: noWorker } = await lost.upload(blob);
      await lost.close();
      const closed = await said(() => client.upload(blob));
      return { aborted, wrong, noWorker, closed };
    }, at);
    expect(found.aborted).toMatch(/^ABORTED/);
    expect(found.closed).toMatch(/^CLOSED/);
    expect(found.noWorker).toMatchObject([{ code: 'WORKER_FAILED' }]);
    expect(found.noWorker[0]?.message).toContain('could not be loaded');
    expect(found.wrong[0]).toMatch(/^TypeError: "inputs\[0\]" expected a File, Blob/);
    expect(found.wrong[1]).toMatch(/^TypeError: "expand" is no option/);
    expect(found.wrong[2]).toMatch(/^HASH_INVALID/);
    expect(found.wrong[3]).toMatch(/^TypeError: "tokn" is no option/);
  });
});
