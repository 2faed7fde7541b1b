// Fuzzes the parsers of what strangers send (test/support/parser-fuzz.ts) for as long as is wished, in a
// process whose heap may have 256 MiB:
//
//   node scripts/fuzz.mjs [--minutes 10] [--seed 1]
//
// Prints a line of JSON. Exits with 1 when there was trouble: something else than a typed error was thrown, an
// input took more than two seconds of processor time, or arrays more than 256 MiB. A process that runs out of
// memory ends by itself, with the number of inputs that it had done in its last line of progress.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    bundle: { type: 'string' },
  },
});
const HEAP_MIB = 256;
const PROGRESS_MS = 30_000;

if (values.bundle === undefined) process.exitCode = await start();
else process.exitCode = await run(values.bundle);

/** Bundles the sources, so that a plain Node can run them, and runs them there. */
async function start() {
  const { build } = await import('esbuild');
  const root = join(dirname(fileURLToPath(import.meta.url)), '..');
  // Below the root, so that packages are found from there.
  mkdirSync(join(root, '.cache'), { recursive: true });
  const folder = mkdtempSync(join(root, '.cache', 'fuzz-'));
  try {
    const bundle = join(folder, 'parser-fuzz.mjs');
    await build({
      entryPoints: [join(root, 'test/support/parser-fuzz.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      outfile: bundle,
    });
    const args = [`--max-old-space-size=${HEAP_MIB}`, fileURLToPath(import.meta.url)];
    const { status } = spawnSync(
      process.execPath,
      [...args, '--minutes', values.minutes, '--seed', values.seed, '--bundle', bundle],
      { stdio: 'inherit', cwd: root },
    );
    return status ?? 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(bundle) {
  const { fuzzParsers } = await import(pathToFileURL(bundle).href);
  const endMs = Date.now() + Number(values.minutes) * 60_000;
  let toldMs = Date.now();
  const result = await fuzzParsers(Number(values.seed), (inputs) => {
    const nowMs = Date.now();
    if (nowMs - toldMs > PROGRESS_MS) {
      toldMs = nowMs;
      console.error(`${inputs} inputs`);
    }
    return nowMs >= endMs;
  });
  console.log(JSON.stringify(result));
  return result.troubles.length === 0 ? 0 : 1;
}
