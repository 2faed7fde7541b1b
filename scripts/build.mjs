// Builds dist/ from src/: tsc compiles, then each module becomes one file (scripts/bundle-modules.mjs),
// and the operator's page is bundled (scripts/build-ui.mjs).
// The kernels are committed as generated modules (scripts/build-kernels.mjs).
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildUi } from './build-ui.mjs';
import { bundleModules } from './bundle-modules.mjs';
import { bundlePage } from './bundle-page.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(join(root, 'package.json'));
const manifest = require.resolve('typescript/package.json');
const tsc = join(dirname(manifest), JSON.parse(readFileSync(manifest, 'utf8')).bin.tsc);

rmSync(join(root, 'dist'), { recursive: true, force: true });
const run = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], {
  stdio: 'inherit',
});
if (run.status !== 0) process.exit(run.status ?? 1);
await bundlePage(join(root, 'dist'));
await bundleModules(join(root, 'dist'));
await buildUi(root, join(root, 'dist'));
const bin = join(root, 'dist', 'cli', 'main.js');
if (existsSync(bin)) chmodSync(bin, 0o755);
