// Makes docs/ui.png and docs/ui-repositories.png: the operator's page in Chromium (CHROMIUM_PATH, else
// /usr/bin/chromium), over a gateway that has something to show. Takes a minute, because rates are sums of ten
// seconds each.
//
//     npm run build && npm run docs:pictures
import { createCipheriv } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startGateway } from '../dist/gateway.js';
import { createRepo, uploadFiles } from '../dist/hub.js';

const docs = fileURLToPath(new URL('../docs/', import.meta.url));
const TOKEN = 'token-of-the-pictures';
const MB = 1_000_000;
const WIDTH = 1040;

/** Numbers of which half compress. */
function weights(seed) {
  const bytes = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(
    Buffer.alloc(24 * MB),
  );
  for (let at = 0; at < bytes.length / 2; at += 4) bytes.fill(0, at + 2, at + 4);
  return bytes;
}

const folder = await mkdtemp(join(tmpdir(), 'orbweaver-pictures-'));
const gateway = await startGateway({
  ...{ data: join(folder, 'store'), port: 0, ui: true },
  tokens: [{ token: TOKEN, scope: 'admin', id: 'ops' }],
});
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
try {
  const at = { hubUrl: gateway.url, accessToken: TOKEN };
  const put = (repo, path, content, commitTitle) =>
    uploadFiles({ ...at, repo, commitTitle, files: [{ path, content: new Blob([content]) }] });
  const model = { type: 'model', name: 'vision/segmenter' };
  const text = { type: 'model', name: 'text/translator' };
  const pages = { type: 'dataset', name: 'text/pages' };
  const runs = { type: 'bucket', name: 'vision/runs' };
  for (const repo of [model, text, pages, runs]) await createRepo({ ...at, repo });
  const first = weights(1);
  await put(text, 'model.safetensors', weights(2), 'First weights');
  await put(pages, 'train/part-0.parquet', weights(3), 'First part');
  // Versions of one file, of which a little changes each time.
  for (let version = 1; version <= 6; version++) {
    first.fill(version, version * MB, version * MB + 200_000);
    await put(model, 'model.safetensors', first, `Epoch ${version}`);
    await put(runs, `epoch-${version}/weights.bin`, first);
    await sleep(8000);
  }
  await put(model, 'README.md', '# Segmenter\n', 'Describe it');

  const page = await browser.newPage({ viewport: { width: WIDTH, height: 690 } });
  await page.goto(gateway.uiUrl);
  await page.getByLabel('Token').fill(TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('saved by dedup').waitFor();
  await page.screenshot({ path: join(docs, 'ui.png') });
  await page.getByRole('link', { name: 'Repositories' }).click();
  await page.getByText('vision/runs').waitFor();
  await page.screenshot({ path: join(docs, 'ui-repositories.png') });
} finally {
  await browser.close();
  await gateway.close();
  await rm(folder, { recursive: true, force: true });
}
