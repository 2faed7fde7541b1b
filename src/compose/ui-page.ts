import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrbweaverError } from '../errors.js';
import type { UiPage } from '../gateway/index.js';

/** Where the build puts the page: beside this file's folder in the package, or in `dist` of a checkout. */
const PLACES = ['../ui/', '../../dist/ui/'];

/** `orbweaver/browser` and its parts, which the page loads from beside itself. */
const ENGINE_FILE = /^browser(?:-[\w-]+)?\.js$/;

/**
 * The files of the operator's page and of the engine that it uploads with, in memory, for `ui` of
 * `createGateway`.
 * @throws OrbweaverError `INPUT_UNREADABLE` when they are not there
 */
export async function readUiPage(): Promise<UiPage> {
  for (const place of PLACES) {
    const folder = fileURLToPath(new URL(place, import.meta.url));
    const paths = await filesBelow(folder);
    if (!paths.includes('index.html')) continue;
    const engine = (await readdir(join(folder, '..'))).filter((name) => ENGINE_FILE.test(name));
    const wanted = [
      ...paths.map((path) => [path, join(folder, path)] as const),
      ...engine.map((name) => [`engine/${name}`, join(folder, '..', name)] as const),
    ];
    const files = wanted.map(async ([path, file]) => ({
      path,
      bytes: new Uint8Array(await readFile(file)),
    }));
    return { files: await Promise.all(files) };
  }
  throw new OrbweaverError(
    'INPUT_UNREADABLE',
    'the files of the page are not there: they lie in dist/ui of the package, which "npm run build" makes',
  );
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}
