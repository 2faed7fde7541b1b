import { mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as BrowserEntry from '../../dist/browser.js';
import { type RunningGateway, startGateway } from '../../dist/gateway.js';
import { createClient, type OrbweaverClient } from '../../dist/index.js';
import { mixedBytes } from './bytes.js';
import { chromiumPath, launch, NO_CHROMIUM, openPage, type Site, serveSite } from './support.js';

const LARGE_BYTES = 5 * 1024 * 1024 + 9;

/** What a page sees; these tests have no types of the DOM. */
interface PageGlobals {
  readonly orbweaver: typeof BrowserEntry;
  readonly navigator: {
    readonly storage: { getDirectory(): Promise<BrowserEntry.FolderHandle> };
  };
  contents(folder: BrowserEntry.FolderHandle): Promise<Record<string, string>>;
}

/** What lies in a folder of a page: sizes and digests, by path. */
const HELPERS = `
globalThis.contents = async (folder, prefix = '', all = {}) => {
  for await (const child of folder.values()) {
    const path = prefix + child.name;
    if (child.kind === 'directory') {
      all[path] = 'folder';
      await contents(child, path + '/', all);
    } else {
      const bytes = await (await child.getFile()).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
      all[path] = bytes.byteLength + ' ' + [...digest.subarray(0, 4)].join();
    }
  }
  return all;
};`;

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'folders in a page',
  () => {
    let browser: Browser;
    let gateway: RunningGateway;
    let site: Site;
    let page: Page;
    let folder: string;
    let node: OrbweaverClient;
    let at: { readonly endpoint: string; readonly token: string };
    const large = mixedBytes(LARGE_BYTES, 21);

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-page-folders-'));
      [browser, gateway, site] = await Promise.all([
        launch(),
        startGateway({ data: join(folder, 'data'), port: 0, cors: { origins: '*' }, hub: false }),
        serveSite({ isolated: true }),
      ]);
      at = { endpoint: gateway.url, token: gateway.writeToken };
      node = await createClient(at);
      page = await openPage(browser, site);
      await page.evaluate(HELPERS);
      await mkdir(join(folder, 'model/inner/empty'), { recursive: true });
      await writeFile(join(folder, 'model/large.bin'), large);
      await writeFile(join(folder, 'model/nothing'), '');
      await writeFile(join(folder, 'model/inner/ünï.txt'), 'text');
      for (let i = 0; i < 300; i++) await writeFile(join(folder, `model/inner/${i}`), `file ${i}`);
    });
    afterAll(async () => {
      await node?.close();
      await browser?.close();
      await gateway?.close();
      await site?.close();
      await rm(folder, { recursive: true, force: true });
    });

    it('are restored as Node has stored them, and what is there is not fetched again', async () => {
      const stored = await node.uploadFolder(join(folder, 'model'));
      const found = await page.evaluate(
        async ({ endpoint, token, hash }) => {
          const { orbweaver, navigator, contents } = globalThis as unknown as PageGlobals;
          const client = await orbweaver.createClient({ endpoint, token, database: 'orbweaver' });
          const root = await navigator.storage.getDirectory();
          const to = await root.getDirectoryHandle('restored', { create: true });
          let last: BrowserEntry.DownloadProgress | undefined;
          const first = await client.downloadFolder(hash, {
            to,
            onProgress: (now) => (last = now),
          });
          const there = await contents(to);
          const again = await client.downloadFolder(hash, { to });
          const damaged = await (await to.getFileHandle('nothing')).createWritable();
          await damaged.write({ type: 'write', position: 0, data: new Uint8Array(3) });
          await damaged.close();
          const mended = await client.downloadFolder(hash, { to });
          const listed: string[] = [];
          for await (const { path, type } of client.listFolder(hash))
            listed.push(`${type} ${path}`);
          const isFolder = await client.isFolder(hash);
          const after = await contents(to);
          await client.close();
          return { first, again, mended, there, after, listed, last, isFolder };
        },
        { ...at, hash: stored.manifestHash },
      );
      expect(found.first).toMatchObject({ fileCount: 303, folderCount: 2, failed: [] });
      expect(found.last).toMatchObject({ phase: 'done', writtenBytes: stored.sizeBytes });
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', large)).subarray(0, 4);
      expect(found.there).toMatchObject({
        'large.bin': `${LARGE_BYTES} ${[...digest].join()}`,
        inner: 'folder',
        'inner/empty': 'folder',
      });
      expect(found.there['inner/17']).toMatch(/^7 /);
      expect(found.there['inner/ünï.txt']).toMatch(/^4 /);
      expect(found.again).toMatchObject({ fileCount: 303, unchangedCount: 303, failed: [] });
      expect(found.mended).toMatchObject({ fileCount: 303, unchangedCount: 302, failed: [] });
      expect(found.after).toEqual(found.there);
      expect(found.listed).toHaveLength(305);
      expect(found.isFolder).toBe(true);
    });

    it('are stored from a handle, from what a user picked and from paths, as Node stores them', async () => {
      const time = new Date('2024-05-06T07:08:09Z');
      await mkdir(join(folder, 'picked/sub'), { recursive: true });
      for (const [path, text] of [
        ['a.txt', 'first'],
        ['sub/b.txt', 'second'],
        ['.hidden', 'third'],
      ] as const) {
        await writeFile(join(folder, 'picked', path), text);
        await utimes(join(folder, 'picked', path), time, time);
      }
      await utimes(join(folder, 'picked/sub'), time, time);
      const stored = await node.uploadFolder(join(folder, 'picked'));
      const found = await page.evaluate(
        async ({ endpoint, token, hash, mtimeMs }) => {
          const { orbweaver, navigator } = globalThis as unknown as PageGlobals;
          const client = await orbweaver.createClient({ endpoint, token });
          const fileOf = (text: string, name: string, path: string): File => {
            const file = new File([text], name, { lastModified: mtimeMs });
            Object.defineProperty(file, 'webkitRelativePath', { value: path });
            return file;
          };
          const files = [
            fileOf('second', 'b.txt', 'picked/sub/b.txt'),
            fileOf('first', 'a.txt', 'picked/a.txt'),
            fileOf('third', '.hidden', 'picked/.hidden'),
          ];
          const picked = await client.uploadFolder(files);
          const filtered = await client.uploadFolder(files, {
            hidden: false,
            filter: (path) => path !== 'sub',
          });
          const names: string[] = [];
          for await (const { path } of client.listFolder(filtered.manifestHash)) names.push(path);
          const changes: string[] = [];
          for await (const change of client.diffFolders(hash, filtered.manifestHash)) {
            changes.push(`${change.change} ${(change.before ?? change.after)?.path}`);
          }
          const root = await navigator.storage.getDirectory();
          const to = await root.getDirectoryHandle('handle', { create: true });
          await client.downloadFolder(hash, { to });
          const fromHandle = await client.uploadFolder(to);
          const twice = await client
            .uploadFolder([
              { path: 'x', data: new Blob(['1']) },
              { path: 'x', data: new Blob(['2']) },
            ])
            .catch((error: { code: string }) => error.code);
          const unsafe = await client.uploadFolder([
            { path: 'ok', data: new Blob(['1']) },
            { path: '../x', data: new Blob(['2']) },
            { path: 'OK', data: new Blob(['3']) },
          ]);
          const wrong = await client
            .uploadFolder('path' as unknown as File[])
            .catch((error: Error) => error.message);
          await client.close();
          return { picked, filtered, names, changes, fromHandle, twice, unsafe, wrong };
        },
        { ...at, hash: stored.manifestHash, mtimeMs: time.getTime() },
      );
      // The same manifest: rights of files and folders are those of a umask of 022.
      expect(found.picked.manifestHash).toBe(stored.manifestHash);
      expect(found.names).toEqual(['a.txt']);
      expect(found.changes).toEqual(['removed .hidden', 'removed sub', 'removed sub/b.txt']);
      expect(found.fromHandle).toMatchObject({ fileCount: 3, folderCount: 1, newBytes: 0 });
      expect(found.twice).toBe('USAGE');
      expect(found.unsafe.fileCount).toBe(1);
      expect(found.unsafe.failed.map(({ code }) => code)).toEqual(['UNSAFE_PATH', 'UNSAFE_PATH']);
      expect(found.wrong).toContain('FileSystemDirectoryHandle');
    });

    it('take up with a large file that was cut off, and tell of links', async () => {
      await symlink('large.bin', join(folder, 'model/link'));
      const stored = await node.uploadFolder(join(folder, 'model'), { maxXorbBytes: 1024 * 1024 });
      const found = await page.evaluate(
        async ({ endpoint, token, hash }) => {
          const { orbweaver, navigator } = globalThis as unknown as PageGlobals;
          const client = await orbweaver.createClient({
            ...{ endpoint, token, database: 'orbweaver', concurrency: 1 },
          });
          const root = await navigator.storage.getDirectory();
          const to = await root.getDirectoryHandle('cut', { create: true });
          const controller = new AbortController();
          const cut = await client
            .downloadFolder(hash, {
              ...{ to, signal: controller.signal },
              onProgress: ({ writtenBytes }) => {
                if (writtenBytes > 2e6) controller.abort();
              },
            })
            .catch((error: { code: string }) => error.code);
          const whole = await client.downloadFolder(hash, { to });
          const size = (await (await to.getFileHandle('large.bin')).getFile()).size;
          await client.close();
          return { cut, whole, size };
        },
        { ...at, hash: stored.manifestHash },
      );
      expect(found.cut).toBe('ABORTED');
      expect(found.size).toBe(LARGE_BYTES);
      expect(found.whole.resumedBytes).toBeGreaterThan(1e6);
      expect(found.whole.failed).toMatchObject([{ path: 'link', code: 'OUTPUT_UNWRITABLE' }]);
    });

    it('come as one archive, as Node writes it', async () => {
      const { files } = await node.upload([
        { name: 'large', data: large },
        { name: 'empty', data: new Uint8Array(0) },
      ]);
      const entries = files.map(({ fileHash, path }) => ({ hash: fileHash, name: `in/${path}` }));
      await node.downloadZip(entries, { to: join(folder, 'node.zip') });
      const expected = await readFile(join(folder, 'node.zip'));
      const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', expected))].join();
      const found = await page.evaluate(
        async ({ endpoint, token, entries }) => {
          const { orbweaver, navigator } = globalThis as unknown as PageGlobals;
          const client = await orbweaver.createClient({ endpoint, token });
          const digestOf = async (bytes: ArrayBuffer) =>
            [...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))].join();
          const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
          const [streamed, bytes] = await Promise.all([
            client.downloadZip(entries, { to: writable }),
            new Response(readable).arrayBuffer(),
          ]);
          const root = await navigator.storage.getDirectory();
          const to = await root.getFileHandle('all.zip', { create: true });
          await client.downloadZip(entries, { to });
          const inFile = await (await to.getFile()).arrayBuffer();
          const unsafe = await client
            .downloadZip([{ hash: entries[0]?.hash as string, name: '../x' }], { to })
            .catch((error: { code: string }) => error.code);
          await client.close();
          return {
            ...{ streamed, unsafe },
            digests: [await digestOf(bytes), await digestOf(inFile)],
          };
        },
        { ...at, entries },
      );
      expect(found.digests).toEqual([digest, digest]);
      expect(found.streamed).toMatchObject({ sizeBytes: expected.length, verified: true });
      expect(found.unsafe).toBe('UNSAFE_PATH');
    });
  },
);
