import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { createClient } from '../../dist/index.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, type Site, serveSite } from './support.js';

const FILE_BYTES = 12 * 1024 * 1024 + 77;
const XORB_BYTES = 1024 * 1024;
/** Ranges that are answered before the page is left. */
const ANSWERED = 5;

interface Download {
  readonly endpoint: string;
  readonly token: string;
  readonly fileHash: string;
  /** Answers this many ranges, and no more. @default all */
  readonly answered?: number;
  readonly name?: string;
  readonly options?: object;
  readonly database?: string;
  /** The client's cancelling, after so many bytes. */
  readonly abortAt?: number;
}

interface Outcome {
  readonly result?: BrowserEntry.DownloadResult;
  readonly error?: { readonly code: string; readonly message: string; readonly keptBytes?: number };
  /** Bytes of ranges that came. */
  readonly rangeBytes: number;
  readonly digest: string | null;
}

/** Put into each page: a download whose ranges can be held back, and what lies in its storage. */
const HELPERS = `
globalThis.run = async ({ endpoint, token, fileHash, answered = Infinity, name = 'out.bin', options = {}, database = 'orbweaver', abortAt }) => {
  const state = (globalThis.state = { ranges: 0, rangeBytes: 0, release: () => {} });
  const gate = new Promise((resolve) => { state.release = resolve; });
  const held = async (url, init) => {
    const isRange = new Headers(init?.headers).has('range');
    if (isRange && state.ranges >= answered) await gate;
    if (isRange) state.ranges++;
    const response = await fetch(url, init);
    if (isRange && response.ok) state.rangeBytes += Number(response.headers.get('content-length'));
    return response;
  };
  const controller = new AbortController();
  const client = await orbweaver.createClient({
    endpoint, token, database, fetch: held, concurrency: 1, retry: { retries: 0 },
  });
  try {
    const root = await navigator.storage.getDirectory();
    const to = await root.getFileHandle(name, { create: true });
    let error, result;
    try {
      const onProgress = ({ writtenBytes }) => {
        state.writtenBytes = writtenBytes;
        if (writtenBytes >= abortAt) controller.abort();
      };
      result = await client.download(fileHash, { to, onProgress, signal: controller.signal, ...options });
    } catch (e) {
      error = { code: e.code ?? e.name, message: e.message, keptBytes: e.fields?.keptBytes };
    }
    const digest = result === undefined ? null : await digestOf(await to.getFile());
    return { result, error, rangeBytes: state.rangeBytes, digest };
  } finally {
    await client.close();
  }
};
globalThis.digestOf = async (blob) =>
  [...new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))].join();
globalThis.parts = async (name = 'kept-orbweaver') => {
  const root = await navigator.storage.getDirectory();
  const folder = await (await root.getDirectoryHandle('.orbweaver')).getDirectoryHandle(name);
  const files = [];
  for await (const handle of folder.values()) files.push(handle);
  return files;
};
globalThis.rows = async (store, change) => {
  // Opening one that is not there would make it.
  if (!(await indexedDB.databases()).some(({ name }) => name === 'orbweaver')) return [];
  const database = await new Promise((resolve) => {
    const opening = indexedDB.open('orbweaver');
    opening.onsuccess = () => resolve(opening.result);
  });
  if (!database.objectStoreNames.contains(store)) return database.close() ?? [];
  const objects = database.transaction(store, 'readwrite').objectStore(store);
  const all = await new Promise((resolve) => {
    const asking = objects.getAll();
    asking.onsuccess = () => resolve(asking.result);
  });
  if (change !== undefined) for (const row of all) objects.put({ ...row, ...change });
  database.close();
  return all;
};
`;

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'a download of a page that was cut off',
  () => {
    let browser: Browser;
    let context: BrowserContext;
    let gateway: RunningGateway;
    let sites: { readonly isolated: Site; readonly plain: Site };
    let folder: string;
    let fileHash: string;
    let digest: string;
    let at: { readonly endpoint: string; readonly token: string; readonly fileHash: string };
    const data = mixedBytes(FILE_BYTES, 11);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-resume-'));
      const [isolated, plain] = await Promise.all([
        serveSite({ isolated: true }),
        serveSite({ isolated: false }),
      ]);
      sites = { isolated, plain };
      [browser, gateway] = await Promise.all([
        launch(),
        startGateway({ data: folder, port: 0, cors: { origins: '*' }, hub: false }),
      ]);
      const node = await createClient({ endpoint: gateway.url, token: gateway.writeToken });
      const { files } = await node.upload({ name: 'data', data }, { maxXorbBytes: XORB_BYTES });
      await node.close();
      fileHash = files[0]?.fileHash as string;
      at = { endpoint: gateway.url, token: gateway.writeToken, fileHash };
      digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', data))].join();
    });
    afterAll(async () => {
      await browser?.close();
      await gateway?.close();
      await sites?.isolated.close();
      await sites?.plain.close();
      await rm(folder, { recursive: true, force: true });
    });
    beforeEach(async () => {
      context = await browser.newContext();
    });
    afterEach(() => context.close());

    const open = async (site: Site = sites.isolated): Promise<Page> => {
      const page = await context.newPage();
      await page.addInitScript(HELPERS);
      await page.goto(`${site.url}/`);
      await page.waitForFunction('globalThis.orbweaver !== undefined');
      return page;
    };
    const run = (page: Page, download: Download): Promise<Outcome> =>
      page.evaluate((given) => (globalThis as unknown as PageGlobals).run(given), download);
    /** Begins a download that stops half-way. */
    const begin = async (page: Page, more: Partial<Download> = {}): Promise<void> => {
      await page.evaluate((given) => void (globalThis as unknown as PageGlobals).run(given), {
        ...at,
        answered: ANSWERED,
        ...more,
      });
      await noted(page);
    };
    /** Chunks are written down when they are written: waits until more than three xorbs are. */
    const noted = (page: Page): Promise<unknown> =>
      page.evaluate(`(async () => {
        for (let bytes = 0; bytes < ${3 * XORB_BYTES}; ) {
          bytes = (await rows('runs')).flatMap(({ lengths }) => [...lengths]).reduce((a, b) => a + b, 0);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })()`);
    const unlocked = (page: Page): Promise<unknown> =>
      page.evaluate(`(async () => {
        while ((await navigator.locks.query()).held.length > 0) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })()`);

    it.each(['isolated', 'plain'] as const)('goes on after a reload (%s)', async (kind) => {
      const page = await open(sites[kind]);
      await begin(page);
      await page.reload();
      await page.waitForFunction('globalThis.orbweaver !== undefined');
      const { result, error, rangeBytes, digest: got } = await run(page, at);
      expect(error).toBeUndefined();
      expect(got).toBe(digest);
      expect(result?.resumedBytes).toBeGreaterThanOrEqual(3 * XORB_BYTES);
      expect(rangeBytes).toBeLessThan(FILE_BYTES - 2 * XORB_BYTES);
      // Nothing of it stays.
      expect(await page.evaluate(() => (globalThis as unknown as PageGlobals).parts())).toEqual([]);
      expect(await page.evaluate('rows("parts")')).toEqual([]);
      expect(await page.evaluate('rows("runs")')).toEqual([]);
    });

    it('goes on in another tab when the first one was killed, and leaves the old file until then', async () => {
      const first = await open();
      await first.evaluate(`(async () => {
        const root = await navigator.storage.getDirectory();
        const writer = await (await root.getFileHandle('out.bin', { create: true })).createWritable();
        await writer.write('the old file');
        await writer.close();
      })()`);
      await begin(first);
      const second = await open();
      const old = await second.evaluate(`(async () => {
        const root = await navigator.storage.getDirectory();
        return (await (await root.getFileHandle('out.bin')).getFile()).text();
      })()`);
      expect(old).toBe('the old file');
      const session = await context.newCDPSession(first);
      const crashed = first.waitForEvent('crash');
      session.send('Page.crash').catch(() => {});
      await crashed;
      // The browser may take a moment to give its locks up.
      await unlocked(second);
      const { result, digest: got } = await run(second, at);
      expect(got).toBe(digest);
      expect(result?.resumedBytes).toBeGreaterThanOrEqual(3 * XORB_BYTES);
    });

    it('fetches what was damaged meanwhile again, and nothing else', async () => {
      const page = await open();
      await begin(page);
      await page.reload();
      await page.waitForFunction('globalThis.orbweaver !== undefined');
      await page.evaluate(`(async () => {
        const [part] = await parts();
        const writer = await part.createWritable({ keepExistingData: true });
        await writer.write({ type: 'write', position: 1_000_000, data: new Uint8Array([1, 2, 3]) });
        await writer.close();
      })()`);
      const { result, digest: got } = await run(page, at);
      expect(got).toBe(digest);
      expect(result?.resumedBytes).toBeGreaterThanOrEqual(2.5 * XORB_BYTES);
      expect(result?.verified).toBe(true);
    });

    it('is right when all of it was damaged, or the part is another length', async () => {
      const page = await open();
      for (const damage of ['truncate(0)', 'truncate(2_000_001)', 'write(new Uint8Array(9e6))']) {
        await begin(page);
        await page.reload();
        await page.waitForFunction('globalThis.orbweaver !== undefined');
        await page.evaluate(`(async () => {
          const [part] = await parts();
          const writer = await part.createWritable({ keepExistingData: true });
          await writer.${damage};
          await writer.close();
        })()`);
        expect((await run(page, at)).digest).toBe(digest);
      }
    });

    it('does not harm that of another tab with the same target', async () => {
      const first = await open();
      const second = await open();
      await begin(first);
      const other = await run(second, at);
      expect(other.digest).toBe(digest);
      // It had nothing to go on with: the part of the first tab is the first tab's.
      expect(other.result?.resumedBytes).toBe(0);
      await first.evaluate('state.release()');
      await first.waitForFunction(`state.writtenBytes === ${FILE_BYTES}`);
      await unlocked(first);
      const same = await second.evaluate(`(async () => {
        const root = await navigator.storage.getDirectory();
        return digestOf(await (await root.getFileHandle('out.bin')).getFile());
      })()`);
      expect(same).toBe(digest);
      expect(await second.evaluate(() => (globalThis as unknown as PageGlobals).parts())).toEqual(
        [],
      );
    });

    it('is removed when nobody went on with it for a week', async () => {
      const page = await open();
      await begin(page);
      await page.reload();
      await page.waitForFunction('globalThis.orbweaver !== undefined');
      expect(await page.evaluate('parts().then((all) => all.length)')).toBe(1);
      const weekAgo = Date.now() - 7 * 24 * 60 * 60 * 1000 - 1000;
      await page.evaluate(
        (changedMs) => (globalThis as unknown as PageGlobals).rows('parts', { changedMs }),
        weekAgo,
      );
      const { result, digest: got } = await run(page, { ...at, name: 'another.bin' });
      expect(got).toBe(digest);
      expect(result?.resumedBytes).toBe(0);
      expect(await page.evaluate('parts().then((all) => all.length)')).toBe(0);
      expect(await page.evaluate('rows("parts")')).toEqual([]);
      expect(await page.evaluate('rows("runs")')).toEqual([]);
    });

    it('goes on after a full storage, which it says, and before it is full where it can', async () => {
      const page = await open();
      const session = await context.newCDPSession(page);
      const quota = (quotaSize: number): Promise<unknown> =>
        session.send('Storage.overrideQuotaForOrigin', { origin: sites.isolated.url, quotaSize });
      await quota(8 * 1024 * 1024);
      const early = await run(page, at);
      expect(early.error?.code).toBe('DISK_FULL');
      expect(early.rangeBytes).toBeLessThan(FILE_BYTES / 2);
      // There was room when it began, and then something else took it.
      await quota(FILE_BYTES + 1024 * 1024);
      const running = run(page, { ...at, answered: ANSWERED });
      await noted(page);
      await quota(7 * 1024 * 1024);
      await page.evaluate('state.release()');
      const full = await running;
      expect(full.error?.code).toBe('DISK_FULL');
      expect(full.error?.keptBytes).toBeGreaterThan(0);
      await quota(1024 * 1024 * 1024);
      const { result, digest: got } = await run(page, at);
      expect(got).toBe(digest);
      expect(result?.resumedBytes).toBe(full.error?.keptBytes);
    });

    it('goes on after it was cancelled, and begins anew when that is asked for', async () => {
      const page = await open();
      const cancelled = await run(page, { ...at, abortAt: 4 * XORB_BYTES });
      expect(cancelled.error?.code).toBe('ABORTED');
      const keptBytes = cancelled.error?.keptBytes ?? 0;
      expect(keptBytes).toBeGreaterThan(0);
      const anew = await run(page, { ...at, options: { resume: false } });
      expect(anew.result?.resumedBytes).toBe(0);
      expect(anew.digest).toBe(digest);
      const again = await run(page, at);
      expect(again.result?.resumedBytes).toBe(keptBytes);
      expect(again.digest).toBe(digest);
    });

    it('leaves nothing without a database, and ranges are no whole files', async () => {
      const page = await open();
      const found = await page.evaluate(async ({ endpoint, token, fileHash }) => {
        const { orbweaver, navigator, parts, digestOf } = globalThis as unknown as PageGlobals;
        const root = await navigator.storage.getDirectory();
        const to = await root.getFileHandle('out.bin', { create: true });
        const client = await orbweaver.createClient({ endpoint, token });
        const controller = new AbortController();
        const cancelled = await client
          .download(fileHash, {
            to,
            signal: controller.signal,
            onProgress: ({ writtenBytes }) => {
              if (writtenBytes > 5e6) controller.abort();
            },
          })
          .catch((error: { code: string; message: string }) => `${error.code} ${error.message}`);
        const wrong = await client
          .download(fileHash, { to, resume: true })
          .catch((error: Error) => error.message);
        await client.download(fileHash, { to, offset: 1_000_000, length: 500_000 });
        const digest = await digestOf(await to.getFile());
        await client.close();
        const left = (await parts('passing')).length;
        return { cancelled, wrong, digest, left };
      }, at);
      expect(found.cancelled).toMatch(/^ABORTED/);
      expect(found.cancelled).not.toContain('kept');
      expect(found.wrong).toContain('"resume" expected a client with "database"');
      const range = await crypto.subtle.digest('SHA-256', data.slice(1_000_000, 1_500_000));
      expect(found.digest).toBe([...new Uint8Array(range)].join());
      expect(found.left).toBe(0);
    });

    it('waits in the storage of the page for a file of the user, when it is asked to go on', async () => {
      const page = await open();
      const found = await page.evaluate(async ({ endpoint, token, fileHash }) => {
        const { orbweaver, digestOf, parts } = globalThis as unknown as PageGlobals;
        const client = await orbweaver.createClient({ endpoint, token, database: 'orbweaver' });
        let written: Uint8Array<ArrayBuffer>[] = [];
        // What a picker gives, as far as a page without a user can have it.
        const to = {
          name: 'picked.bin',
          createWritable: async () =>
            new WritableStream<Uint8Array<ArrayBuffer>>({
              start: () => {
                written = [];
              },
              write: (bytes) => void written.push(bytes.slice()),
            }) as unknown as BrowserEntry.OutputFileStream,
        };
        const controller = new AbortController();
        const error = await client
          .download(fileHash, {
            ...{ to, resume: true, signal: controller.signal },
            onProgress: ({ writtenBytes }) => {
              if (writtenBytes > 5e6) controller.abort();
            },
          })
          .catch((error: { code: string }) => error.code);
        const left = (await parts()).length;
        const result = await client.download(fileHash, { to, resume: true });
        await client.close();
        const digest = await digestOf(new Blob(written));
        return { error, left, digest, result, after: (await parts()).length };
      }, at);
      expect(found).toMatchObject({ error: 'ABORTED', left: 1, after: 0, digest });
      expect(found.result.resumedBytes).toBeGreaterThan(0);
    });

    it('has nothing to go on with for files of 0, 1 and 4 million bytes', async () => {
      const page = await open();
      for (const length of [0, 1, 4_000_000]) {
        const node = await createClient({ endpoint: gateway.url, token: gateway.writeToken });
        const { files } = await node.upload({ name: 'small', data: data.subarray(0, length) });
        await node.close();
        const small = { ...at, fileHash: files[0]?.fileHash as string, name: `small ${length}` };
        const { result, digest: got } = await run(page, small);
        expect(result?.sizeBytes).toBe(length);
        const bytes = await crypto.subtle.digest('SHA-256', data.slice(0, length));
        expect(got).toBe([...new Uint8Array(bytes)].join());
      }
      expect(await page.evaluate('parts().then((all) => all.length)')).toBe(0);
    });
  },
);

/** What a page sees; these tests have no types of the DOM. */
interface PageGlobals {
  readonly orbweaver: typeof BrowserEntry;
  readonly navigator: {
    readonly storage: {
      getDirectory(): Promise<{
        getFileHandle(
          name: string,
          options?: { readonly create: boolean },
        ): Promise<BrowserEntry.OutputFile & { getFile(): Promise<Blob> }>;
      }>;
    };
  };
  run(download: Download): Promise<Outcome>;
  parts(folder?: string): Promise<readonly object[]>;
  rows(store: string, change?: object): Promise<{ readonly lengths: Uint32Array }[]>;
  digestOf(blob: Blob): Promise<string>;
}
