import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { listFiles } from '../../dist/hub.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, openPage, type Site, serveSite } from './support.js';

const FILE_BYTES = 3 * 1024 * 1024 + 5;

/** What a page sees; these tests have no types of the DOM. */
interface PageGlobals {
  readonly orbweaver: typeof BrowserEntry;
}

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'a Hub in a page',
  () => {
    let browser: Browser;
    let gateway: RunningGateway;
    let site: Site;
    let page: Page;
    let folder: string;
    let at: { readonly hubUrl: string; readonly accessToken: string };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-page-hub-'));
      site = await serveSite({ isolated: true });
      site.files.set('/data', mixedBytes(FILE_BYTES, 31));
      site.files.set('/other', mixedBytes(FILE_BYTES, 32));
      [browser, gateway] = await Promise.all([
        launch(),
        // The page is of another origin.
        startGateway({ data: folder, port: 0, cors: { origins: [site.url] } }),
      ]);
      at = { hubUrl: gateway.url, accessToken: gateway.writeToken };
      page = await openPage(browser, site);
    });
    afterAll(async () => {
      await browser?.close();
      await gateway?.close();
      await site?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('takes files small and large, lists them and gives them back', async () => {
      const found = await page.evaluate(async (credentials) => {
        const { orbweaver } = globalThis as unknown as PageGlobals;
        const common = { ...credentials, repo: 'page/model' };
        const made = await orbweaver.createRepo({ ...common, visibility: 'public' });
        const large = await (await fetch('/data')).blob();
        const seen: BrowserEntry.HubProgress[] = [];
        const first = await orbweaver.uploadFiles({
          ...common,
          files: [
            new File([large], 'large.safetensors'),
            { path: 'in/config.json', content: new Blob(['{"a":1}']) },
            { path: 'empty.txt', content: new Uint8Array(0) },
          ],
          commitTitle: 'from a page',
          onProgress: (now) => seen.push(now),
        });
        const listed: string[] = [];
        for await (const { type, path, size } of orbweaver.listFiles({
          ...common,
          recursive: true,
        }))
          listed.push(`${type} ${path} ${size}`);
        const read = async (path: string) => {
          const blob = await orbweaver.downloadFile({ ...common, path });
          if (blob === null) return null;
          return { size: blob.size, etag: blob.etag, bytes: await blob.arrayBuffer(), blob };
        };
        const digestOf = async (bytes: ArrayBuffer) =>
          [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))]
            .map((byte) => byte.toString(16).padStart(2, '0'))
            .join('');
        const back = await read('large.safetensors');
        const original = await large.arrayBuffer();
        const slice = await back?.blob.slice(1_000_000, -1_000_000).slice(0, 500).bytes();
        const small = await read('in/config.json');
        const part = await small?.blob.slice(1, 4).text();
        return {
          ...{ made, first, listed, part, last: seen.at(-1) },
          large: back && { size: back.size, etag: back.etag, digest: await digestOf(back.bytes) },
          digest: await digestOf(original),
          sameSlice:
            slice !== undefined &&
            slice.length === 500 &&
            slice.every((byte, i) => byte === new Uint8Array(original)[1_000_000 + i]),
          config: small && new TextDecoder().decode(small.bytes),
          empty: (await read('empty.txt'))?.bytes.byteLength,
          missing: await read('missing'),
        };
      }, at);
      expect(found.first?.commit.oid).toMatch(/^[0-9a-f]{40}$/);
      const expected = ['file empty.txt 0', 'file in/config.json 7'];
      expected.push(`file large.safetensors ${FILE_BYTES}`);
      expect(found.listed).toEqual(expect.arrayContaining(expected));
      expect(found.large).toEqual({ size: FILE_BYTES, etag: found.digest, digest: found.digest });
      expect(found.sameSlice).toBe(true);
      expect(found).toMatchObject({ config: '{"a":1}', part: '"a"', empty: 0, missing: null });
      expect(found.last).toMatchObject({
        ...{ doneFileCount: 3, fileCount: 3 },
        ...{ doneBytes: FILE_BYTES + 7, totalBytes: FILE_BYTES + 7 },
      });
      // Node sees the same.
      const files: string[] = [];
      for await (const { path } of listFiles({ ...at, repo: 'page/model', recursive: true }))
        files.push(path);
      expect(files).toContain('large.safetensors');
    });

    it('sends of a new version what changed, and makes no commit when nothing did', async () => {
      const found = await page.evaluate(async (credentials) => {
        const { orbweaver } = globalThis as unknown as PageGlobals;
        const common = { ...credentials, repo: 'page/versions' };
        await orbweaver.createRepo(common);
        const first = new Uint8Array(await (await fetch('/other')).arrayBuffer());
        let sentBytes = 0;
        const counted: typeof fetch = async (url, init) => {
          const body = init?.body;
          if (body instanceof Blob) sentBytes += body.size;
          else if (body instanceof Uint8Array) sentBytes += body.length;
          return fetch(url, init);
        };
        const upload = async (content: Uint8Array) => {
          sentBytes = 0;
          const file = { path: 'model.bin', content };
          const commit = await orbweaver.uploadFile({ ...common, file, fetch: counted });
          return { commit: commit?.commit.oid ?? null, sentBytes };
        };
        const whole = await upload(first);
        const changed = first.slice();
        changed.set([1, 2, 3], 1_500_000);
        const edited = await upload(changed);
        const same = await upload(changed);
        const both = await orbweaver.commit({
          ...common,
          title: 'two at once',
          operations: [
            { operation: 'delete', path: 'model.bin' },
            { operation: 'addOrUpdate', path: 'new.txt', content: new Blob(['new']) },
          ],
        });
        const left: string[] = [];
        for await (const { path } of orbweaver.listFiles(common)) left.push(path);
        const code = (error: { code?: string; message: string }) => error.code ?? error.message;
        const conflict = await orbweaver
          .deleteFile({ ...common, path: 'new.txt', parentCommit: whole.commit ?? '' })
          .catch(code);
        await orbweaver.deleteFile({ ...common, path: 'new.txt' });
        const gone = await orbweaver.downloadFile({ ...common, path: 'new.txt' });
        await orbweaver.deleteRepo(common);
        const lost = await orbweaver.downloadFile({ ...common, path: 'x' }).catch(code);
        return { whole, edited, same, both, left, conflict, gone, lost };
      }, at);
      expect(found.whole.sentBytes).toBeGreaterThan(FILE_BYTES / 2);
      expect(found.edited.sentBytes).toBeLessThan(500_000);
      expect(found.edited.commit).not.toBe(found.whole.commit);
      expect(found.same.commit).toBeNull();
      expect(found.both?.commit.oid).toMatch(/^[0-9a-f]{40}$/);
      expect(found.left).toContain('new.txt');
      expect(found.left).not.toContain('model.bin');
      expect(found).toMatchObject({ conflict: 'CONFLICT', gone: null, lost: 'NOT_FOUND' });
    });

    it('keeps buckets, and says what is wrong', async () => {
      const found = await page.evaluate(async (credentials) => {
        const { orbweaver } = globalThis as unknown as PageGlobals;
        const common = { ...credentials, repo: { type: 'bucket', name: 'page/box' } as const };
        await orbweaver.createRepo(common);
        const file = new File(['in a bucket'], 'a.txt', { lastModified: 1_700_000_000_000 });
        await orbweaver.uploadFile({ ...common, file });
        const text = await (await orbweaver.downloadFile({ ...common, path: 'a.txt' }))?.text();
        const said = (run: () => Promise<unknown>) =>
          run().then(
            () => 'nothing',
            (error: { code?: string; message: string }) => `${error.code}: ${error.message}`,
          );
        const controller = new AbortController();
        controller.abort();
        const wrong = [
          await said(() => orbweaver.uploadFile({ ...common, file, comitTitle: 'x' } as never)),
          await said(() =>
            orbweaver.uploadFile({ ...common, file: { path: '../a', content: file } }),
          ),
          await said(() =>
            orbweaver.uploadFile({ ...common, file: { path: 'a', content: 'path' } } as never),
          ),
          await said(() => orbweaver.uploadFile({ ...common, file, accessToken: 'wrong' })),
          await said(() =>
            orbweaver.uploadFile({ ...common, file, abortSignal: controller.signal }),
          ),
          await said(() =>
            orbweaver.commit({
              ...common,
              title: 'x',
              operations: [{ operation: 'edit', path: 'a' } as never],
            }),
          ),
        ];
        return { text, wrong };
      }, at);
      expect(found.text).toBe('in a bucket');
      expect(found.wrong[0]).toContain('"comitTitle" is no option of uploadFile');
      expect(found.wrong[1]).toMatch(/^(UNSAFE_PATH|USAGE)/);
      expect(found.wrong[2]).toContain('"content" of "a" expected a File, Blob or Uint8Array');
      expect(found.wrong[3]).toMatch(/^AUTH_REQUIRED/);
      expect(found.wrong[4]).toMatch(/^ABORTED/);
      expect(found.wrong[5]).toContain('expected addOrUpdate or delete in a page, got "edit"');
    });
  },
);
