// Joins the compiled files of each module of dist/ into one, in place: `dist/hash/index.js` holds all of
// hash/, and so on. Every module keeps its entry points, its path and its declarations, so nothing outside
// notices; Node loads about 40 files instead of 250, in every worker again. Loading modules one by
// one took a third of the start-up (bench/notes/performance.md has the figures). Nothing is minified, and
// dependencies stay what they are.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

/** Modules whose files are the entry points themselves: each is loaded when it is asked for. */
const OPEN_MODULES = new Set(['cli', 'compose']);
/** Programs of threads: each becomes one CommonJS file with all that it needs of this package. */
const THREADS = ['workers/worker-main.js', 'workers/sha256-main.js', 'workers/digest-main.js'];
/** Programs that are started by path, in a thread or process of their own. */
const PROGRAM = /^(.*-main|run-.*)\.js$/;
const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.js)'/g;

/** @param {string} dist the folder that tsc has written */
export async function bundleModules(dist) {
  for (const program of THREADS) await bundleThread(join(dist, program));
  const files = filesBelow(dist).filter((file) => file.endsWith('.js'));
  const modules = new Map();
  for (const entry of readdirSync(dist, { withFileTypes: true })) {
    if (entry.isDirectory() && !OPEN_MODULES.has(entry.name))
      modules.set(join(dist, entry.name), new Set());
  }
  const moduleOf = (file) => [...modules.keys()].find((module) => file.startsWith(module + sep));
  for (const file of files) {
    const module = moduleOf(file);
    if (module !== undefined && PROGRAM.test(file.slice(module.length + 1)))
      modules.get(module).add(file);
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const target = resolve(dirname(file), specifier);
      const home = moduleOf(target);
      if (home !== undefined && home !== module) modules.get(home).add(target);
    }
    if (module !== undefined && file === join(module, 'index.js')) modules.get(module).add(file);
  }
  for (const [module, entries] of modules) await bundleModule(module, [...entries], files);
}

/**
 * A thread that loads one CommonJS file never starts Node's loader for the other kind of modules: an
 * empty thread of ours was there after 50 instead of 95 ms of processor time.
 */
async function bundleThread(program) {
  await build({
    entryPoints: [program],
    outfile: program.replace(/\.js$/, '.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    charset: 'utf8',
    legalComments: 'inline',
    logLevel: 'warning',
  });
  rmSync(program);
}

async function bundleModule(module, entries, files) {
  for (const entry of entries) {
    if (dirname(entry) !== module)
      throw new Error(`${relative(module, entry)} is an entry point inside a folder of the module`);
  }
  const { outputFiles } = await build({
    entryPoints: entries,
    outdir: module,
    outbase: module,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    chunkNames: 'shared-[hash]',
    charset: 'utf8',
    legalComments: 'inline',
    logLevel: 'warning',
    write: false,
    plugins: [outsideIsExternal(module)],
  });
  for (const file of files) if (file.startsWith(module + sep)) rmSync(file);
  for (const output of outputFiles) {
    mkdirSync(dirname(output.path), { recursive: true });
    writeFileSync(output.path, output.contents);
  }
}

/** Other modules stay imports. All outputs lie in the module's folder itself, so one path does for all. */
function outsideIsExternal(module) {
  return {
    name: 'outside-is-external',
    setup(bundler) {
      bundler.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind }) => {
        if (kind === 'entry-point') return undefined;
        const target = resolve(resolveDir, path);
        if (target.startsWith(module + sep)) return undefined;
        const specifier = relative(module, target).split(sep).join('/');
        return { path: specifier.startsWith('.') ? specifier : `./${specifier}`, external: true };
      });
    },
  };
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
