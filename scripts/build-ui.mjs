// Builds the operator's page: src/ui becomes dist/ui, a page, a script, a style sheet and an icon, each but
// the page named by a hash of what is in it. The gateway serves them below /ui/ (docs/ui.md).
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { build } from 'esbuild';

/**
 * @param {string} root the checkout
 * @param {string} dist where to
 */
export async function buildUi(root, dist) {
  const source = join(root, 'src', 'ui');
  const out = join(dist, 'ui');
  const { metafile } = await build({
    entryPoints: ['main.tsx', 'style.css', 'icon.svg'].map((name) => join(source, name)),
    outdir: out,
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    chunkNames: 'part-[hash]',
    loader: { '.svg': 'copy' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    // Browsers of 2023 on; they have all that the page uses.
    target: ['chrome112', 'firefox115', 'safari16.4'],
    tsconfig: join(source, 'tsconfig.json'),
    minify: true,
    legalComments: 'none',
    charset: 'utf8',
    logLevel: 'warning',
    metafile: true,
  });
  const names = new Map();
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint === undefined) continue;
    const name = relative(out, join(process.cwd(), path)).split(sep).join('/');
    names.set(basename(entryPoint), name);
  }
  const page = readFileSync(join(source, 'page.html'), 'utf8')
    .replace('%script%', names.get('main.tsx'))
    .replace('%style%', names.get('style.css'))
    .replace('%icon%', names.get('icon.svg'));
  writeFileSync(join(out, 'index.html'), page);
}
