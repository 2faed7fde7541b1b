import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The folder of the compiled package, as a URL that ends with a slash. What runs it says when it is not
 * what the sources give: `npm test` builds first, `npm run test:unit` does not.
 *
 * @throws Error when nothing was built
 */
export function compiled(): URL {
  const index = join(root, 'dist', 'index.js');
  if (!existsSync(index)) throw new Error('dist/ is missing, which this test runs: npm run build');
  const builtAt = statSync(index).mtimeMs;
  const newer = readdirSync(join(root, 'src'), { recursive: true })
    .map((name) => join('src', String(name)))
    .find((name) => name.endsWith('.ts') && statSync(join(root, name)).mtimeMs > builtAt);
  if (newer !== undefined) console.warn(`dist/ is older than ${newer}: npm run build`);
  return new URL('../../dist/', import.meta.url);
}
