// The manifest that is packed has no scripts, development dependencies and overrides: those are for a
// clone, and their files are not in the package. npm even counts "prepare" as a script of the install
// when a package comes as a file.
//
//     "prepack":  node scripts/build.mjs && node scripts/manifest.mjs pack
//     "postpack": node scripts/manifest.mjs restore
//
// A pack that was interrupted between the two is set right by the next one, or by `restore`.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const path = join(root, 'package.json');
const kept = join(root, '.cache', 'package.json');

if (existsSync(kept)) {
  writeFileSync(path, readFileSync(kept));
  rmSync(kept);
}
if (process.argv[2] === 'pack') {
  const text = readFileSync(path, 'utf8');
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(kept, text);
  const { scripts, devDependencies, overrides, ...manifest } = JSON.parse(text);
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}
