// Joins the compiled files of each room of dist/ into one, in place: `dist/hash/index.js` holds all of
// hash/, and so on. Every room keeps its door, its path and its declarations, so nothing outside
// notices; Node loads about 40 files instead of 250, in every worker again. Loading modules one by
// one took a third of the start-up (bench/notes/performance.md has the figures). Nothing is minified, and
// dependencies stay what they are.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

/** Rooms whose files are the doors themselves: each is loaded when it is asked for. */
const OPEN_ROOMS = new Set(['cli', 'compose']);
/** Programs of threads: each becomes one CommonJS file with all that it needs of this package. */
const THREADS = ['workers/worker-main.js', 'workers/sha256-main.js', 'workers/digest-main.js'];
/** Programs that are started by path, in a thread or process of their own. */
const PROGRAM = /^(.*-main|run-.*)\.js$/;
const IMPORT = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.js)'/g;

/** @param {string} dist the folder that tsc has written */
export async function bundleRooms(dist) {
  for (const program of THREADS) await bundleThread(join(dist, program));
  const files = filesBelow(dist).filter((file) => file.endsWith('.js'));
  const rooms = new Map();
  for (const entry of readdirSync(dist, { withFileTypes: true })) {
    if (entry.isDirectory() && !OPEN_ROOMS.has(entry.name))
      rooms.set(join(dist, entry.name), new Set());
  }
  const roomOf = (file) => [...rooms.keys()].find((room) => file.startsWith(room + sep));
  for (const file of files) {
    const room = roomOf(file);
    if (room !== undefined && PROGRAM.test(file.slice(room.length + 1))) rooms.get(room).add(file);
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const target = resolve(dirname(file), specifier);
      const home = roomOf(target);
      if (home !== undefined && home !== room) rooms.get(home).add(target);
    }
    if (room !== undefined && file === join(room, 'index.js')) rooms.get(room).add(file);
  }
  for (const [room, doors] of rooms) await bundleRoom(room, [...doors], files);
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

async function bundleRoom(room, doors, files) {
  for (const door of doors) {
    if (dirname(door) !== room) throw new Error(`${relative(room, door)} is a door inside a room`);
  }
  const { outputFiles } = await build({
    entryPoints: doors,
    outdir: room,
    outbase: room,
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
    plugins: [outsideIsExternal(room)],
  });
  for (const file of files) if (file.startsWith(room + sep)) rmSync(file);
  for (const output of outputFiles) {
    mkdirSync(dirname(output.path), { recursive: true });
    writeFileSync(output.path, output.contents);
  }
}

/** Other rooms stay imports. All outputs lie in the room's folder itself, so one path does for all. */
function outsideIsExternal(room) {
  return {
    name: 'outside-is-external',
    setup(bundler) {
      bundler.onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir, kind }) => {
        if (kind === 'entry-point') return undefined;
        const target = resolve(resolveDir, path);
        if (target.startsWith(room + sep)) return undefined;
        const specifier = relative(room, target).split(sep).join('/');
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
