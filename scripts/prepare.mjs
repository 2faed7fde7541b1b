// npm's "prepare": runs after `npm install` in a clone and when the package is installed from Git,
// never when it comes from a registry. Builds dist/ unless it is newer than every source.
//
// Without the development dependencies (`npm install --omit=dev` in a clone) there is no compiler:
// that is said and is no failure. Packing is another matter: `npm pack` and `npm publish` run
// "prepack", which always builds, so a package without a fresh dist/ cannot be made. The manifest of a
// packed package has no scripts (scripts/manifest.mjs).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const packs = ['pack', 'publish'].includes(process.env['npm_command'] ?? '');
if (!packs && !isFresh()) {
  if (hasCompiler()) {
    const build = join(root, 'scripts', 'build.mjs');
    process.exitCode = spawnSync(process.execPath, [build], { stdio: 'inherit' }).status ?? 1;
  } else {
    console.error('orbweaver: dist/ was not built, the development dependencies are not installed');
  }
}

function isFresh() {
  const built = join(root, 'dist', 'index.js');
  if (!existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  return ['src', 'scripts', 'tsconfig.json', 'package.json'].every(
    (name) => newest(name) < builtAt,
  );
}

function newest(name) {
  const path = join(root, name);
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  const inside = readdirSync(path, { recursive: true });
  return Math.max(mtimeMs, ...inside.map((file) => statSync(join(path, file)).mtimeMs));
}

function hasCompiler() {
  const require = createRequire(join(root, 'package.json'));
  try {
    for (const tool of ['typescript/package.json', 'esbuild']) require.resolve(tool);
    return true;
  } catch {
    return false;
  }
}
