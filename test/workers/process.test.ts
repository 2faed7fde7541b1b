import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import type { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { builtUrl, builtWorkers } from './built.js';

const MIB = 1024 * 1024;

/** Runs a program; resolves with exit code and output, fails when it does not end by itself. */
function run(
  program: string,
  args: readonly string[] = [],
): Promise<{ code: number; out: string }> {
  return new Promise((resolve, reject) => {
    const all = [...args, '--input-type=module', '-e', program];
    const child = spawn(process.execPath, all, { timeout: 20_000 });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        out += text.toString();
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === null) reject(new Error(`ended by ${signal}: ${out}`));
      else resolve({ code, out });
    });
  });
}

const USE = `
  import { createComputePool } from ${JSON.stringify(builtUrl('workers/index.js'))};
  const pool = await createComputePool({ threads: 2, maxMemory: ${8 * MIB} });
  const [slab] = await pool.acquire(1);
  const hashes = await Promise.all([1, 2, 3, 4].map((n) =>
    pool.hash(slab, Uint32Array.of(0), Uint32Array.of(n))));
  const sha = pool.createSha256();
  await sha.update(slab, 0, 10);
  await sha.digest();
`;

describe('a process with a pool', () => {
  it('ends by itself when the work is done, closed or not, and prints nothing', async () => {
    expect(await run(`${USE} console.log('idle');`)).toEqual({ code: 0, out: 'idle\n' });
    expect(await run(`${USE} await pool.close(); console.log('closed');`)).toEqual({
      code: 0,
      out: 'closed\n',
    });
  });

  it('does not end while a task runs', async () => {
    const program = `${USE} pool.hash(slab, Uint32Array.of(0), Uint32Array.of(9)).then(() => console.log('late'));`;
    expect(await run(program)).toEqual({ code: 0, out: 'late\n' });
  });

  it('runs with flags that would trouble its workers', async () => {
    const flags = ['--expose-gc', '--conditions=development', '--no-warnings'];
    expect((await run(`${USE} console.log('ok');`, flags)).code).toBe(0);
  });
});

describe('a pool whose workers are killed', () => {
  it('fails their tasks, gets new workers, and keeps all slabs usable', async () => {
    // Piscina takes the class from the module object each time it starts a worker.
    const threads = createRequire(import.meta.url)('node:worker_threads') as {
      Worker: typeof Worker;
    };
    const Original = threads.Worker;
    const started: Worker[] = [];
    threads.Worker = class extends Original {
      constructor(...args: ConstructorParameters<typeof Worker>) {
        super(...args);
        started.push(this);
      }
    };
    try {
      const { createComputePool } = await builtWorkers();
      for (const sharedMemory of [true, false]) {
        const pool = await createComputePool({ threads: 2, maxMemory: 8 * MIB, sharedMemory });
        let failures = 0;
        for (let round = 0; round < 6; round++) {
          const slabs = await pool.acquire(pool.slabCount);
          const starts = Uint32Array.of(0);
          const lengths = Uint32Array.of(131_072);
          const tasks = slabs.map((slab) => pool.hash(slab, starts, lengths));
          const settled = Promise.allSettled(tasks);
          if (round % 2 === 1) await Promise.all(started.map((worker) => worker.terminate()));
          for (const result of await settled) {
            if (result.status === 'fulfilled') expect(result.value).toHaveLength(32);
            else {
              failures++;
              expect(result.reason).toMatchObject({ code: 'WORKER_FAILED' });
            }
          }
          for (const slab of slabs) {
            expect(slab.bytes).toHaveLength(pool.slabBytes);
            slab.release();
          }
          const [slab] = await pool.acquire(1);
          if (slab === undefined) throw new Error('no slab');
          expect(await pool.hash(slab, starts, lengths)).toHaveLength(32);
          slab.release();
        }
        expect(pool.freeSlabs).toBe(pool.slabCount);
        expect(failures).toBeGreaterThanOrEqual(0);
        await pool.close();
      }
      expect(started.length).toBeGreaterThan(4);
    } finally {
      threads.Worker = Original;
    }
  });
});
