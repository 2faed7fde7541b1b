import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import type { Browser, BrowserContext, FileChooser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import { chromiumPath, launch, NO_CHROMIUM } from './support.js';

/** The operator's page, worked as somebody does, in a real browser against a real gateway. */

const PREFIX = '/cas';
const TOKENS = [
  { token: 'token-of-a-writer', scope: 'write', id: 'writer' },
  { token: 'token-of-a-reader', scope: 'read', id: 'reader' },
  { token: 'token-of-acme', scope: 'write', id: 'acme', tenant: 'acme' },
] as const;
const [WRITER, READER, ACME] = TOKENS.map(({ token }) => token) as [string, string, string];
const weights = generate({ kind: 'splitmix64', seed: 41, bytes: 9_000_000 });

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? `the page (${NO_CHROMIUM})` : 'the page',
  () => {
    let folder: string;
    let gateway: RunningGateway;
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    /** Whatever the console says that should not be there. */
    let complaints: string[];
    let outside: string[];

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'orbweaver-page-'));
      gateway = await startGateway({
        ...{ data: join(folder, 'store'), port: 0, workers: 1, sync: false },
        ...{ ui: true, prefix: PREFIX, tokens: TOKENS },
      });
      await writeFile(join(folder, 'weights.bin'), weights);
      await writeFile(join(folder, 'notes.txt'), 'small, and text');
      browser = await launch();
      await create('team/model');
    });

    afterAll(async () => {
      await browser?.close();
      await gateway?.close();
      await rm(folder, { recursive: true, force: true });
    });

    beforeEach(async () => {
      context = await browser.newContext({ acceptDownloads: true });
      page = await context.newPage();
      complaints = [];
      outside = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (/Content Security Policy|Cross-Origin/i.test(message.text()))
          complaints.push(message.text());
      });
      page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(gateway.url) && !url.startsWith('blob:')) outside.push(url);
      });
    });

    afterEach(async () => {
      await context.close();
      expect(complaints).toEqual([]);
      expect(outside).toEqual([]);
    });

    async function create(name: string): Promise<void> {
      const response = await fetch(`${gateway.url}/api/repos/create`, {
        method: 'POST',
        headers: { authorization: `Bearer ${WRITER}`, 'content-type': 'application/json' },
        body: JSON.stringify({ type: 'model', name }),
      });
      expect(response.status).toBe(200);
    }

    /** The overview counts the store, and then not again for a while: it is opened when all is there. */
    async function signIn(token: string, hash = '#/repositories'): Promise<void> {
      await page.goto(gateway.uiUrl + hash);
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('button', { name: 'Sign out' }).waitFor();
    }

    const task = (text: RegExp): Locator => page.locator('.tasks').getByText(text);

    const open = (hash: string): Promise<unknown> =>
      page.evaluate(`location.hash = ${JSON.stringify(hash)}`);

    /** Presses Tab until what is focused has this name; a key for those who have no mouse. */
    async function tabTo(name: string): Promise<void> {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const [text, ring] = (await page.evaluate(`(() => {
          const element = document.activeElement;
          const text = element.getAttribute('aria-label') || element.innerText ||
            (element.labels?.[0]?.innerText ?? '');
          return [text.trim(), getComputedStyle(element).outlineStyle];
        })()`)) as [string, string];
        if (text !== name) continue;
        expect(ring, `focus on ${name} shows`).not.toBe('none');
        return;
      }
      throw new Error(`Tab does not come to "${name}"`);
    }

    it('is worked by keyboard alone: signing in, a repository, an upload by the engine', async () => {
      await page.goto(`${gateway.uiUrl}#/repositories`);
      await page.getByLabel('Token').waitFor();
      await tabTo('Token');
      await page.keyboard.type('no such token');
      await page.keyboard.press('Enter');
      expect(await page.getByRole('alert').innerText()).toContain('no spaces');
      await page.keyboard.press('Control+a');
      await page.keyboard.type('wrong');
      await page.keyboard.press('Enter');
      await page.getByText('The gateway does not know this token.').waitFor();
      await page.keyboard.press('Control+a');
      await page.keyboard.type(WRITER);
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Repositories' }).waitFor();
      await tabTo('Transfers');
      await page.keyboard.press('Enter');
      await page.getByText('None yet.').waitFor();
      await tabTo('Repositories');
      await page.keyboard.press('Enter');
      await page.getByRole('link', { name: 'team/model' }).waitFor();
      await tabTo('team/model');
      await page.keyboard.press('Enter');
      // What a new repository has.
      await page.getByRole('link', { name: '.gitattributes' }).waitFor();
      await tabTo('Choose files');
      // A browser that was too slow for the key forgets it.
      let chooser: FileChooser | null = null;
      for (let i = 0; chooser === null && i < 5; i++) {
        const opened = page.waitForEvent('filechooser', { timeout: 10_000 }).catch(() => null);
        await page.keyboard.press('Enter');
        chooser = await opened;
      }
      const posted: string[] = [];
      page.on('request', (request) => posted.push(`${request.method()} ${request.url()}`));
      await chooser?.setFiles([join(folder, 'weights.bin'), join(folder, 'notes.txt')]);
      await page.getByRole('link', { name: 'weights.bin' }).waitFor();
      await task(/committed to main, 9\.\d\d MB sent/).waitFor();
      // As chunks, and not as a whole file.
      expect(posted.some((request) => /POST .*\/v1\/xorbs\//.test(request))).toBe(true);
      expect(posted.some((request) => request.includes('/lfs-objects/'))).toBe(false);
      expect(await page.evaluate('crossOriginIsolated')).toBe(true);
      // The token is nowhere but in the headers and in this tab.
      expect(posted.some((request) => request.includes(WRITER))).toBe(false);
      expect(await page.evaluate('location.href + document.cookie + localStorage.length')).toBe(
        `${gateway.uiUrl}#/repositories/models/team/model/tree/main0`,
      );
      await stored('weights.bin', weights);
      expect(await page.getByRole('status').last().innerText()).toContain('committed to main');
    });

    /** What the store has under a path, as any client gets it. */
    async function stored(path: string, expected: Uint8Array): Promise<void> {
      const response = await fetch(`${gateway.url}/team/model/resolve/main/${path}`, {
        headers: { authorization: `Bearer ${READER}` },
      });
      expect(response.status).toBe(200);
      expect(digest(new Uint8Array(await response.arrayBuffer()))).toBe(digest(expected));
    }

    it('uploads what is dropped on it, and sends nothing of it twice', async () => {
      await signIn(WRITER);
      await open('#/repositories/models/team/model/tree/main/copies');
      // A folder that is not there yet is shown as what it is.
      await page.getByRole('alert').waitFor();
      await open('#/repositories/models/team/model');
      await page.getByRole('heading', { name: 'Upload' }).waitFor();
      const response = `${gateway.url}/team/model/resolve/main/weights.bin`;
      const transfer = await page.evaluateHandle(`(async () => {
        const response = await fetch(${JSON.stringify(response)}, {
          headers: { authorization: 'Bearer ${READER}' },
        });
        const transfer = new DataTransfer();
        transfer.items.add(new File([await response.blob(), 'a new end'], 'again.bin'));
        return transfer;
      })()`);
      await page.dispatchEvent('.drop', 'drop', { dataTransfer: transfer });
      await task(/committed to main, [\d.]+ KB sent/).waitFor();
      await stored('again.bin', Buffer.concat([weights, Buffer.from('a new end')]));
    });

    it('makes a repository and a bucket, and shows how large they are', async () => {
      await signIn(WRITER);
      await page.getByLabel('Name', { exact: true }).fill('no slash');
      await page.getByRole('button', { name: 'Make it' }).click();
      await page.getByText('named by two words with a slash').waitFor();
      for (const [type, name] of [
        ['dataset', 'team/made'],
        ['bucket', 'team/bucket'],
      ] as const) {
        await open('#/repositories');
        await page.getByLabel('Type').selectOption({ label: type });
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByRole('button', { name: 'Make it' }).click();
        await page.getByRole('heading', { name, level: 1 }).waitFor();
      }
      // Of a bucket there are no branches and no commits.
      expect(await page.getByLabel('Branch').count()).toBe(0);
      expect(await page.getByRole('link', { name: 'Commits' }).count()).toBe(0);
      await page.getByLabel('Files to upload').setInputFiles(join(folder, 'weights.bin'));
      await task(/added to the bucket, 0 B sent/).waitFor();
      await page.getByRole('link', { name: 'weights.bin' }).click();
      await page.getByText('(9,000,000 bytes)').waitFor();
      const response = await fetch(`${gateway.url}/buckets/team/bucket/resolve/weights.bin`, {
        headers: { authorization: `Bearer ${READER}` },
      });
      expect(digest(new Uint8Array(await response.arrayBuffer()))).toBe(digest(weights));
      await open('#/repositories');
      const row = (name: string): Locator => page.locator('li', { hasText: name });
      await row('team/bucket')
        .getByText(/^9\.00 MB · changed/)
        .waitFor();
      await row('team/model')
        .getByText(/^18\.0 MB · changed/)
        .waitFor();
      await row('team/made')
        .getByText(/ KB · changed| B · changed/)
        .waitFor();
    });

    it('shows what git repositories elsewhere keep here', async () => {
      const base = `${gateway.url}/git/team/code.git/info/lfs/objects`;
      const headers = {
        authorization: `Bearer ${WRITER}`,
        'content-type': 'application/vnd.git-lfs+json',
      };
      for (const text of ['a large file', 'another']) {
        const bytes = new TextEncoder().encode(text);
        const object = { oid: digest(bytes), size: bytes.length };
        const body = JSON.stringify({ operation: 'upload', objects: [object] });
        const asked = await fetch(`${base}/batch`, { method: 'POST', headers, body });
        const { objects } = (await asked.json()) as {
          objects: [{ actions: { upload: { href: string } } }];
        };
        const sent = await fetch(objects[0].actions.upload.href, { method: 'PUT', body: bytes });
        expect(sent.status).toBe(200);
      }
      await signIn(READER);
      const git = page.getByRole('region', { name: 'Git LFS' });
      await git.locator('li', { hasText: 'team/code' }).getByText('2 files · 19 B').waitFor();
      await page.getByLabel('Find').fill('nothing of that name');
      await git.waitFor({ state: 'detached' });
    });

    it('walks a folder that is dropped on it', async () => {
      const inside = join(folder, 'dropped', 'deep', 'er');
      await mkdir(inside, { recursive: true });
      await writeFile(join(inside, 'leaf.txt'), 'a leaf');
      await writeFile(join(folder, 'dropped', 'top.bin'), weights.subarray(0, 200_000));
      await signIn(WRITER);
      await open('#/repositories/models/team/model');
      await page.getByRole('heading', { name: 'Upload' }).scrollIntoViewIfNeeded();
      const box = (await page.locator('.drop').boundingBox()) as { x: number; y: number };
      const session = await context.newCDPSession(page);
      const data = { items: [], files: [join(folder, 'dropped')], dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        const at = { x: box.x + 20, y: box.y + 20 };
        await session.send('Input.dispatchDragEvent', { type, ...at, data });
      }
      await task(/committed to main/).waitFor();
      await stored('dropped/deep/er/leaf.txt', Buffer.from('a leaf'));
      await stored('dropped/top.bin', weights.subarray(0, 200_000));
    });

    it('ends an upload that is cancelled, and commits nothing of it', async () => {
      await writeFile(
        join(folder, 'fresh.bin'),
        generate({ kind: 'splitmix64', seed: 42, bytes: 3_000_000 }),
      );
      await signIn(WRITER);
      await open('#/repositories/models/team/model');
      const held = page.waitForRequest(/\/v1\/xorbs\//);
      // Never answered.
      await page.route(/\/v1\/xorbs\//, () => {});
      await page.getByLabel('Files to upload').setInputFiles(join(folder, 'fresh.bin'));
      await held;
      await page.getByRole('button', { name: 'Cancel the upload of fresh.bin' }).click();
      await task(/cancelled/).waitFor();
      expect(await page.getByRole('link', { name: 'fresh.bin' }).count()).toBe(0);
      const response = await fetch(`${gateway.url}/team/model/resolve/main/fresh.bin`, {
        headers: { authorization: `Bearer ${READER}` },
      });
      expect(response.status).toBe(404);
    });

    it('tells about a file, and downloads it by the engine and by a signed address', async () => {
      await signIn(READER);
      await open('#/repositories/models/team/model/file/main/weights.bin');
      await page.getByText('(9,000,000 bytes)').waitFor();
      await page.getByText(createHash('sha256').update(weights).digest('hex')).waitFor();
      await page
        .getByText('There are no older ones.')
        .or(page.getByText('Look for older'))
        .waitFor();
      // Somebody who picks a place; here it is in the storage of the page, which is written the same way.
      await page.evaluate(`window.showSaveFilePicker = async ({ suggestedName }) =>
        (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })`);
      await page.getByRole('button', { name: 'Download' }).click();
      await task(/saved as weights.bin and checked/).waitFor();
      const saved = await page.evaluate(`(async () => {
        const folder = await navigator.storage.getDirectory();
        const file = await (await folder.getFileHandle('weights.bin')).getFile();
        const hash = await crypto.subtle.digest('SHA-256', await file.arrayBuffer());
        return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      })()`);
      expect(saved).toBe(digest(weights));

      await page.evaluate(
        'delete window.showSaveFilePicker; window.showSaveFilePicker = undefined',
      );
      const handed = page.waitForEvent('download');
      await page.getByRole('button', { name: 'Download' }).click();
      const download = await handed;
      expect(download.suggestedFilename()).toBe('weights.bin');
      expect(download.url()).not.toContain(READER);
      const bytes = await readFile(await download.path());
      expect(digest(bytes)).toBe(digest(weights));
    });

    it('shows what dedup saved, and to a tenant nothing of others', async () => {
      await signIn(READER, '#/overview');
      await page.getByText('18.2 MB', { exact: true }).waitFor();
      const headline = await page.locator('.headline').innerText();
      expect(headline).toMatch(/of files take 9\.\d\d MB — (49|50) % saved/);
      const chart = page.getByRole('img', { name: /^Bytes per second over/ });
      expect(await chart.getAttribute('aria-label')).toMatch(/in now .*, at most .*; out now/);
      expect(await page.getByText('Choose files').count()).toBe(0);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await signIn(ACME, '#/overview');
      await page.getByText('Nothing is stored yet.').waitFor();
      await page.getByRole('link', { name: 'Repositories' }).click();
      await page.getByText('There is no repository yet.').waitFor();
    });

    it('says in words what is wrong, and goes on when it is over', async () => {
      await signIn(READER);
      await open('#/repositories/models/team/nothing');
      await page.getByRole('alert').waitFor();
      expect(await page.getByRole('alert').innerText()).toMatch(/not found/i);
      await context.setOffline(true);
      await open('#/repositories');
      await page.getByText('The gateway cannot be reached.').waitFor();
      await context.setOffline(false);
      await page.getByRole('button', { name: 'Try again' }).click();
      await page.getByRole('link', { name: 'team/model' }).waitFor();
    });

    it('fits a small screen, in both colours, with enough contrast', async () => {
      await page.setViewportSize({ width: 390, height: 844 });
      await signIn(WRITER);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        for (const hash of ['#/overview', '#/repositories/models/team/model', '#/transfers']) {
          await open(hash);
          await page.getByRole('heading', { level: 1 }).waitFor();
          const wider = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
          expect(wider, `${hash} in ${colorScheme}`).toBeLessThanOrEqual(0);
          expect(await page.evaluate(FAINT), `${hash} in ${colorScheme}`).toEqual([]);
        }
      }
    });
  },
);

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Texts whose colour has less than 4.5 to 1 on what is behind them (WCAG 2, level AA). */
const FAINT = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (channels(color)[3] !== 0) return color;
    }
    return 'rgb(255, 255, 255)';
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || !element.checkVisibility() || element.closest('.for-screen-readers,noscript,select')) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(walker.currentNode.data.trim() + ' ' + ratio.toFixed(2));
  }
  return faint;
})()`;
