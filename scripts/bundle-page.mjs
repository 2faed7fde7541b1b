// Makes what a page loads: `dist/browser.js`, with chunks that are loaded when they are wanted, and
// `dist/browser-worker.js`, the program of its workers. Both hold all that they need: a page has no
// node_modules. Whatever of Node would get into them fails the build.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const NOTICE =
  '/* orbweaver, Apache-2.0; with p-queue, p-timeout, eventemitter3 and hash-wasm, MIT */';

/** Globals of Node for which the code has another way in a page. */
const ABSENT = { 'globalThis.Buffer': 'undefined', 'globalThis.setImmediate': 'undefined' };

/** @param {string} dist the folder that tsc has written */
export async function bundlePage(dist) {
  const options = {
    outdir: dist,
    bundle: true,
    allowOverwrite: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome116', 'firefox124', 'safari17.4'],
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    banner: { js: NOTICE },
    define: ABSENT,
    // Modules of which a page uses a part name them; what is left of them is checked below.
    external: ['node:*'],
    metafile: true,
    logLevel: 'warning',
  };
  const results = await Promise.all([
    build({
      ...options,
      entryPoints: [join(dist, 'browser.js')],
      splitting: true,
      chunkNames: 'browser-[hash]',
    }),
    build({
      ...options,
      entryPoints: [{ in: join(dist, 'workers/web-main.js'), out: 'browser-worker' }],
    }),
  ]);
  for (const { metafile } of results) {
    for (const [file, { imports }] of Object.entries(metafile.outputs)) {
      const outside = imports.filter(({ external }) => external).map(({ path }) => path);
      if (outside.length > 0) throw new Error(`${file} imports ${outside.join(', ')}`);
    }
  }
  // Their code is in the bundle; the declarations stay.
  rmSync(join(dist, 'workers/web-main.js'));
  for (const name of readdirSync(join(dist, 'browser'))) {
    if (name.endsWith('.js')) rmSync(join(dist, 'browser', name));
  }
}
