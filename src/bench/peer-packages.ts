import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

/** JavaScript peers are never dependencies: they are taken where they are found, or put into a scratch folder. */

/** What `--install-peers` installs; any version that is found is measured. */
const PEER_PACKAGES = ['@huggingface/hub@2.17.5', '@huggingface/xetchunk-wasm@0.2.0'];

/** A package that was found. */
export interface PeerPackage {
  /** File to import. */
  readonly entry: string;
  readonly version: string;
}

/** Default of `peersDir`: below the current folder. */
export function defaultPeersDir(): string {
  return join(process.cwd(), '.cache', 'bench-peers');
}

/** Looks for a package in the scratch folder, in the current project, and beside orbweaver. */
export async function findPackage(name: string, peersDir: string): Promise<PeerPackage | null> {
  for (const from of [join(peersDir, 'x.js'), join(process.cwd(), 'x.js'), import.meta.url]) {
    // Not resolved with `require`: its conditions may name another build than `import` does.
    for (const folder of createRequire(from).resolve.paths(name) ?? []) {
      const found = await readPackage(join(folder, name));
      if (found !== null) return found;
    }
  }
  return null;
}

async function readPackage(folder: string): Promise<PeerPackage | null> {
  const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => null);
  if (text === null) return null;
  const manifest = JSON.parse(text) as { version: string; main?: string; exports?: unknown };
  const root = (manifest.exports as Record<string, unknown> | undefined)?.['.'];
  const entry = importTarget(root) ?? importTarget(manifest.exports) ?? manifest.main;
  return entry === undefined ? null : { entry: join(folder, entry), version: manifest.version };
}

/** The target of the conditions `import` and `default` in an `exports` entry. */
function importTarget(target: unknown): string | undefined {
  if (typeof target === 'string') return target;
  if (typeof target !== 'object' || target === null) return undefined;
  const { import: imported, default: fallback } = target as Record<string, unknown>;
  return importTarget(imported) ?? importTarget(fallback);
}

/**
 * Installs the JavaScript peers into the scratch folder, with npm and without running scripts.
 *
 * @throws Error with what npm said
 */
export async function installPeers(peersDir: string): Promise<void> {
  await mkdir(peersDir, { recursive: true });
  await writeFile(join(peersDir, 'package.json'), '{"private":true}\n');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  await promisify(execFile)(npm, ['install', ...quiet, ...PEER_PACKAGES], { cwd: peersDir });
}
