import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * The program of a thread beside the file `base`.
 * @throws Error when it is not there: a bundler made one file of everything and left it out
 */
export function programFile(name: string, base: string): URL {
  const url = new URL(name, base);
  const path = fileURLToPath(url);
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
  return url;
}
