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
      // Under another name: it is known by its bytes.
      const file = new File([blob], 'renamed.bin', { lastModified: 2 });
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

  it('changes a stored file, adds to its end and reads it anywhere, as in Node', async () => {
    site.files.set('/data', mixedBytes(FILE_BYTES, 6));
    const found = await page.evaluate(async ({ endpoint, token }) => {
      const { orbweaver } = globalThis as unknown as PageGlobals;
      const client = await orbweaver.createClient({ endpoint, token, database: 'orbweaver' });
      const original = new Uint8Array(await (await fetch('/data')).arrayBuffer());
      const insert = original.slice(1000, 31_000);
      const { files } = await client.upload(original);
      const fileHash = files[0]?.fileHash as string;
      const splices = [{ offset: 2_000_000, deleteBytes: 500, insert: new Blob([insert]) }];
      const edited = await client.edit(fileHash, splices);
      const longer = await client.append(edited.fileHash, insert);
      const whole = await new Blob([
        ...[original.subarray(0, 2_000_000), insert, original.subarray(2_000_500), insert],
      ]).arrayBuffer();
      const { files: fresh } = await client.upload(new Uint8Array(whole), { dryRun: true });
      const file = await client.open(longer.fileHash);
      const read = [
        await file.read(1_999_000, 3000),
        await file.slice(-100).bytes(),
        new Uint8Array(await new Response(file.slice(0, 500_000).stream()).arrayBuffer()),
      ];
      const expected = [whole.slice(1_999_000, 2_002_000), whole.slice(-100)];
      expected.push(whole.slice(0, 500_000));
      const same = expected.map((bytes, i) => {
        const got = read[i] as Uint8Array;
        const want = new Uint8Array(bytes);
        return got.length === want.length && got.every((byte, n) => byte === want[n]);
      });
      const wrong = await client
        .edit(fileHash, [{ offset: 0, insert: 'path' as unknown as Blob }])
        .catch((error: Error) => error.message);
      await file.close();
      const closed = await file.read(0, 1).catch((error: { code: string }) => error.code);
      await client.close();
      const { size } = file;
      return { edited, longer, size, fresh: fresh[0]?.fileHash, same, wrong, closed };
    }, at);
    expect(found.longer.fileHash).toBe(found.fresh);
    expect(found.longer.sizeBytes).toBe(FILE_BYTES + 59_500);
    expect(found.size).toBe(FILE_BYTES + 59_500);
    expect(found.edited.sentBytes).toBeLessThan(500_000);
    expect(found.same).toEqual([true, true, true]);
    expect(found.wrong).toMatch(/^"inputs\[0\]" expected a File, Blob/);
    expect(found.closed).toBe('CLOSED');
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
