import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtUrl } from './built.js';

const root = resolve(import.meta.dirname, '../..');

/** Uses threads; the folder of their programs may be named. */
const PROGRAM = `
  import { createClient } from 'orbweaver';
  const run = async () => {
    const workerUrl = process.argv[2];
    const client = await createClient({ endpoint: null, workers: 2, workerUrl });
    const { files, failed } = await client.upload(new Uint8Array(12e6), { dryRun: true, sha256: true });
    await client.close();
    console.log(files[0]?.sizeBytes ?? failed[0].code + ' ' + failed[0].message);
  };
  run().catch((error) => console.log(error.code, error.message));
`;

describe.each(['esm', 'cjs'] as const)('a program bundled into one file, %s', (format) => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-bundle-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const bundleTo = async (outfile: string): Promise<string> => {
    await build({
      stdin: { contents: PROGRAM, resolveDir: root },
      bundle: true,
      platform: 'node',
      format,
      target: 'node20',
      logLevel: 'silent',
      outfile,
    });
    return outfile;
  };
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, args, { cwd: folder }).toString().trim();

  it('finds its threads in the folder that it names, or says what is missing', async () => {
    const file = await bundleTo(join(folder, `app.${format === 'esm' ? 'mjs' : 'cjs'}`));
    expect(run(file, builtUrl('workers/'))).toBe('12000000');
    // Without them it runs on the calling thread, and says so on standard error.
    expect(run(file)).toBe('12000000');
    expect(run(file, 'file:///nowhere/')).toMatch(/^WORKER_FAILED "workerUrl" expected/);
  });

  it('finds its threads in the package that is installed where it runs', async () => {
    const outfile = fileURLToPath(
      new URL(`bundle-test.${format === 'esm' ? 'mjs' : 'cjs'}`, builtUrl('')),
    );
    const file = await bundleTo(outfile);
    try {
      expect(run(file)).toBe('12000000');
    } finally {
      await rm(file);
    }
  });

  it('finds its threads in what an archive of Electron leaves out, beside the archive', async () => {
    // Node cannot see into archives: a folder of that name takes its place.
    const file = await bundleTo(join(folder, 'app.asar', format === 'esm' ? 'app.mjs' : 'app.cjs'));
    const unpacked = join(folder, 'app.asar.unpacked');
    await cp(fileURLToPath(builtUrl('workers/')), unpacked, { recursive: true });
    await symlink(join(root, 'node_modules'), join(unpacked, 'node_modules'));
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    expect([stdout.trim(), stderr]).toEqual(['12000000', '']);
  });
});
