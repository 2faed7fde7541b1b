// The ways in which strangers use the package, each as a small program in a folder that has nothing
// but the installed tarball.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** 48 MiB through a gateway in the same process: enough to need threads, on both sides. */
const TRANSFER = `
import { mkdtemp, rm, writeFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'orbweaver';
import { startGateway } from 'orbweaver/gateway';

const folder = await mkdtemp(join(tmpdir(), 'orbweaver-app-'));
const bytes = Buffer.alloc(48 << 20);
for (let i = 0, x = 1; i < bytes.length; i += 4) bytes.writeUInt32LE((x = (Math.imul(x, 1664525) + 1013904223) >>> 0), i);
await writeFile(join(folder, 'in.bin'), bytes);
const gateway = await startGateway({ data: join(folder, 'store'), port: 0, token: 'secret' });
const client = await createClient({ endpoint: gateway.url, token: 'secret' });
const { files, failed } = await client.upload([join(folder, 'in.bin')]);
if (failed.length > 0) throw new Error(JSON.stringify(failed));
await client.download(files[0].fileHash, { to: join(folder, 'out.bin') });
const same = bytes.equals(await readFile(join(folder, 'out.bin')));
await client.close();
await gateway.close();
await rm(folder, { recursive: true });
if (!same) throw new Error('other bytes came back');
console.log('transferred');
`;

const TYPED = `
import { createClient, isOrbweaverError, type OrbweaverClient, type UploadResult } from 'orbweaver';
import { runBench, type BenchReport } from 'orbweaver/bench';
import { decodeShard, findCuts, merkleRoot } from 'orbweaver/formats';
import { createGateway, startGateway } from 'orbweaver/gateway';
import { digestInput, uploadToTarget } from 'orbweaver/targets';

export async function send(path: string): Promise<UploadResult> {
  const client: OrbweaverClient = await createClient({ endpoint: 'http://127.0.0.1:1', token: 't' });
  try {
    return await client.upload([path, new Uint8Array(4), { name: 'log', data: new Uint8Array(1) }]);
  } catch (error) {
    if (isOrbweaverError(error)) console.error(error.code);
    throw error;
  } finally {
    await client.close();
  }
}
export const all = [decodeShard, findCuts, merkleRoot, createGateway, startGateway, digestInput, uploadToTarget];
export const bench = (): Promise<BenchReport> => runBench({ scenarios: ['chunk'] });
`;

const PAGE = `
import { createClient, type BrowserClient } from 'orbweaver/browser';

export async function send(file: File, to: FileSystemFileHandle): Promise<ReadableStream<Uint8Array>> {
  const client: BrowserClient = await createClient({ endpoint: 'https://cas.example.com', token: 't' });
  const { files } = await client.upload([file, { name: 'log', data: file.stream() }]);
  await client.download(files[0]?.fileHash ?? '', { to });
  return client.stream(files[0]?.fileHash ?? '', { signal: AbortSignal.timeout(1000) });
}
`;

/** A warning is a failure. */
const PAGE_BUILD = `
const { default: esbuild } = await import(process.argv[2]);
const options = { bundle: true, platform: 'browser', format: 'esm', write: false, logLevel: 'info' };
const { warnings } = await esbuild.build({ ...options, entryPoints: ['page.ts'] });
process.exit(warnings.length);
`;

const IMPORTS = `
for (const name of ['', '/formats', '/gateway', '/hub', '/targets', '/bench']) {
  const module = await import('orbweaver' + name);
  if (Object.keys(module).length === 0) throw new Error(name + ' exports nothing');
}
`;

const REQUIRES = `
for (const name of ['', '/formats', '/gateway', '/hub', '/targets', '/bench']) {
  if (Object.keys(require('orbweaver' + name)).length === 0) throw new Error(name);
}
const { chunkInput } = require('orbweaver');
chunkInput(new Uint8Array(1000)).then(({ fileHash }) => {
  if (!/^[0-9a-f]{64}$/.test(fileHash)) throw new Error(fileHash);
});
`;

/** @param {{ app: string, tools: string, run: Function }} parts */
export function consumers({ app, tools, run }) {
  const node = process.execPath;
  const file = (name, text) => writeFileSync(join(app, name), text.trimStart());

  file('import.mjs', IMPORTS);
  run('import from ES modules', app, node, ['import.mjs']);
  file('require.cjs', REQUIRES);
  run('require from CommonJS', app, node, ['--no-warnings', 'require.cjs']);
  file('transfer.mjs', TRANSFER);
  run('upload and download in one process', app, node, ['transfer.mjs']);
  run('npx orbweaver --version', app, 'npx', ['--no-install', 'orbweaver', '--version']);
  run('npx orbweaver chunk', app, 'npx', ['--no-install', 'orbweaver', 'chunk', 'transfer.mjs']);

  file('typed.ts', TYPED);
  const tsc = join(tools, 'typescript/bin/tsc');
  const nodeTypes = join(tools, '@types');
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    const compilerOptions = {
      module,
      moduleResolution,
      target: 'es2022',
      lib: ['es2023'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      types: ['node'],
      typeRoots: [nodeTypes],
    };
    const config = `tsconfig.${moduleResolution}.json`;
    file(config, JSON.stringify({ compilerOptions, files: ['typed.ts'] }));
    run(`strict TypeScript, ${moduleResolution}`, app, node, [tsc, '-p', config]);
  }

  page();
  bundled('esbuild, the package external', ['--packages=external', '--format=esm'], 'external.mjs');
  bundled('esbuild, all in one ES module', ['--format=esm'], 'one.mjs');
  bundled('esbuild, all in one CommonJS file', ['--format=cjs'], 'one.cjs', TRANSFER_CJS);
  viteBuild();

  function bundled(what, options, output, text = TRANSFER) {
    mkdirSync(join(app, 'bundles'), { recursive: true });
    file('bundle-entry.mjs', text);
    const esbuild = join(tools, 'esbuild/bin/esbuild');
    const args = ['bundle-entry.mjs', '--bundle', '--platform=node', '--target=node20'];
    const outfile = `--outfile=bundles/${output}`;
    if (run(`${what}: build`, app, esbuild, [...args, ...options, outfile]) === null) return;
    run(`${what}: run`, app, node, ['--no-warnings', `bundles/${output}`]);
  }

  /** For a page: types of the DOM and none of Node, one bundle, no warning. */
  function page() {
    file('page.ts', PAGE);
    const lib = ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'];
    const compilerOptions = {
      ...{ module: 'esnext', moduleResolution: 'bundler', target: 'es2022', lib, types: [] },
      ...{ strict: true, skipLibCheck: true, noEmit: true },
    };
    file('tsconfig.page.json', JSON.stringify({ compilerOptions, files: ['page.ts'] }));
    run('strict TypeScript, a page', app, node, [tsc, '-p', 'tsconfig.page.json']);
    file('page-build.mjs', PAGE_BUILD);
    run('esbuild, for a page', app, node, ['page-build.mjs', join(tools, 'esbuild/lib/main.js')]);
  }

  function viteBuild() {
    const vite = join(tools, 'vite/bin/vite.js');
    if (!existsSync(vite)) return;
    file('vite-entry.js', TRANSFER);
    const build = ['build', '--ssr', 'vite-entry.js', '--outDir', 'vite-out', '--logLevel', 'warn'];
    if (run('Vite: build for a server', app, node, [vite, ...build]) === null) return;
    run('Vite: run', app, node, ['vite-out/vite-entry.js']);
  }
}

/** The same without top-level await, which CommonJS lacks. */
const TRANSFER_CJS = TRANSFER.replace(
  /\n\nconst folder/,
  '\nasync function main() {\nconst folder',
).concat('}\nmain().catch((error) => { console.error(error); process.exit(1); });\n');
