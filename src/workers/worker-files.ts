import { existsSync } from 'node:fs';
import * as modules from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Piscina } from 'piscina';
import { OrbweaverError } from '../errors.js';

/** The programs of threads, compiled, and the library that runs them. */
export interface WorkerFiles {
  /** Path of a program: `worker-main`, `sha256-main`. */
  path(program: string): string;
  readonly piscina: Pick<typeof import('piscina'), 'FixedQueue'> & {
    readonly Piscina: new (options: ConstructorParameters<typeof Piscina>[0]) => Piscina;
  };
}

const FIRST_PROGRAM = 'worker-main.cjs';

/**
 * Finds the folder with the programs of threads: the one that is named, else the one of this module,
 * else, when a bundler has moved this module into another file, that of the installed package.
 * Piscina is loaded from there and not imported, because it looks for files of its own beside itself
 * and finds none once it is part of a bundle. `node:module` is imported whole because webpack takes an imported
 * `createRequire` away.
 *
 * @throws OrbweaverError `WORKER_FAILED` when there is no such folder
 */
export function findWorkerFolder(workerUrl: string | URL | undefined): string {
  return workerUrl === undefined ? ownFolder() : named(workerUrl);
}

/** The files in that folder. @throws OrbweaverError `WORKER_FAILED` when piscina is not there */
export function workerFilesIn(folder: string): WorkerFiles {
  return {
    path: (program) => join(folder, `${program}.cjs`),
    piscina: loadPiscina(folder),
  };
}

function named(workerUrl: string | URL): string {
  const url = new URL(workerUrl);
  const path = url.protocol === 'file:' ? fileURLToPath(url) : '';
  const folder = path.endsWith('.cjs') ? dirname(path) : path;
  if (path !== '' && existsSync(join(folder, FIRST_PROGRAM))) return folder;
  throw notFound(`"workerUrl" expected a file: URL of a folder with ${FIRST_PROGRAM}, got ${url}`);
}

/**
 * Where a file of an archive of Electron lies on the disk, when it was left out of it: threads load their
 * programs, and libraries theirs, without what makes Electron see into `app.asar`.
 */
function unpackedPath(path: string): string {
  return path.replace(/\.asar(?=[\\/]|$)/, '.asar.unpacked');
}

/** The folder, or what was unpacked of it, that has the programs. */
function withPrograms(folder: string): string | null {
  const places = [unpackedPath(folder), folder];
  return places.find((place) => existsSync(join(place, FIRST_PROGRAM))) ?? null;
}

function ownFolder(): string {
  const here = ownUrl();
  // Only where this file runs: what lies in the working folder may be anybody's.
  if (here !== null) {
    const beside = withPrograms(dirname(fileURLToPath(here)));
    if (beside !== null) return beside;
    try {
      const manifest = modules.createRequire(here).resolve('orbweaver/package.json');
      const installed = withPrograms(join(dirname(manifest), 'dist', 'workers'));
      if (installed !== null) return installed;
    } catch {
      // Not installed here.
    }
  }
  throw notFound(
    `${FIRST_PROGRAM} of the package was not found; in a bundled program keep orbweaver in ` +
      'node_modules, or pass "workerUrl" with the folder that holds a copy of dist/workers',
  );
}

/**
 * Null in a bundle of CommonJS that has no name. In a bundle of CommonJS the name comes first: webpack makes
 * `import.meta.url` the place of this module where the bundle was made, which may be anybody's where it runs.
 */
function ownUrl(): string | null {
  if (typeof __filename === 'string') return pathToFileURL(__filename).href;
  const url: string | undefined = import.meta.url;
  return url?.startsWith('file:') ? url : null;
}

function loadPiscina(folder: string): WorkerFiles['piscina'] {
  try {
    return modules.createRequire(join(folder, FIRST_PROGRAM))(
      'piscina',
    ) as typeof import('piscina');
  } catch (error) {
    throw notFound(`"piscina" expected to be installed where ${folder} finds it`, error);
  }
}

function notFound(message: string, cause?: unknown): OrbweaverError {
  return new OrbweaverError('WORKER_FAILED', message, {}, cause);
}
