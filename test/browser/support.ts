import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The browser that these tests drive: `CHROMIUM_PATH`, else one on the PATH; null: there is none. */
export function chromiumPath(): string | null {
  const named = process.env['CHROMIUM_PATH'];
  if (named !== undefined && named !== '') return named;
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of NAMES) {
      const path = join(folder, name);
      if (folder !== '' && existsSync(path)) return path;
    }
  }
  return null;
}

/** Why there is nothing to see, for the name of a suite that is skipped. */
export const NO_CHROMIUM =
  'no Chromium: none of chromium, chromium-browser, google-chrome on the PATH, and no CHROMIUM_PATH';

export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath() as string,
    // The sandbox of Chromium does not start for root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
}

const dist = resolve(import.meta.dirname, '../../dist');

/** Tests find the entry point as `orbweaver`: what they run in the page cannot import. */
const PAGE = `<!doctype html><title>orbweaver</title>
<script type="module">
  import * as orbweaver from '/browser.js';
  Object.assign(globalThis, { orbweaver });
</script>`;

/** A server of the built files and of what a test adds, with or without isolation. */
export interface Site {
  readonly url: string;
  readonly files: Map<string, Uint8Array>;
  close(): Promise<void>;
}

export async function serveSite({ isolated }: { readonly isolated: boolean }): Promise<Site> {
  const files = new Map<string, Uint8Array>([['/', new TextEncoder().encode(PAGE)]]);
  const built = readdirSync(dist).filter((name) => /^browser.*\.js$/.test(name));
  for (const name of built) files.set(`/${name}`, readFileSync(join(dist, name)));
  const server: Server = createServer(({ url = '/' }, response) => {
    const bytes = files.get(url);
    const type = url.endsWith('.js')
      ? 'text/javascript'
      : url === '/'
        ? 'text/html'
        : 'application/octet-stream';
    response.setHeader('content-type', type);
    if (isolated) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    response.statusCode = bytes === undefined ? 404 : 200;
    response.end(bytes);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    files,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** A page of the site, whose errors fail the test. */
export async function openPage(browser: Browser, site: Site): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${site.url}/`);
  await page.waitForFunction('globalThis.orbweaver !== undefined');
  return page;
}
