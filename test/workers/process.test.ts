import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { builtUrl, builtWorkers } from './built.js';
import { watchWorkers } from './watched-workers.js';

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

/** How long an end is waited for that comes at once on a quiet machine. */
const PATIENCE = { timeout: 10_000, interval: 5 };

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

describe('a pool whose threads are killed', () => {
  it('fails their tasks, gets new threads, and keeps all slabs usable', async () => {
    const watched = watchWorkers();
    try {
      const { createComputePool } = await builtWorkers();
      for (const sharedMemory of [true, false]) {
        const pool = await createComputePool({ threads: 2, maxMemory: 8 * MIB, sharedMemory });
        const starts = Uint32Array.of(0);
        const lengths = Uint32Array.of(131_072);
        for (let round = 0; round < 4; round++) {
          const slabs = await pool.acquire(pool.slabCount);
          // Both threads are ready, so the first two tasks are with them when they are killed.
          await Promise.all(slabs.slice(0, 2).map((slab) => pool.hash(slab, starts, lengths)));
          await vi.waitFor(() => expect(pool.liveThreads).toBe(2), PATIENCE);
          const settled = Promise.allSettled(slabs.map((slab) => pool.hash(slab, starts, lengths)));
          await nextTurn();
          if (round % 2 === 1) await Promise.all(watched.started.map((each) => each.terminate()));
          let failures = 0;
          for (const result of await settled) {
            if (result.status === 'fulfilled') expect(result.value).toHaveLength(32);
            else {
              failures++;
              expect(result.reason).toMatchObject({ code: 'WORKER_FAILED' });
            }
          }
          // One task for each thread at most, and none without a kill.
          expect(failures).toBeLessThanOrEqual(round % 2 === 1 ? 2 : 0);
          for (const slab of slabs) {
            expect(slab.bytes).toHaveLength(pool.slabBytes);
            slab.release();
          }
          expect(pool.freeSlabs).toBe(pool.slabCount);
        }
        await pool.close();
      }
    } finally {
      watched.restore();
    }
  });

  it.each([true, false])(
    'keeps the slab of a task until the thread has really ended, shared memory %s',
    async (sharedMemory) => {
      const watched = watchWorkers();
      try {
        const { createComputePool } = await builtWorkers();
        const pool = await createComputePool({ threads: 1, maxMemory: 8 * MIB, sharedMemory });
        const [slab] = await pool.acquire(1);
        if (slab === undefined) throw new Error('no slab');
        const [starts, lengths] = [Uint32Array.of(0), Uint32Array.of(1000)];
        await pool.hash(slab, starts, lengths);
        const [thread] = watched.started;
        if (thread === undefined) throw new Error('no thread');
        thread.holdExit();
        let settled = false;
        const task = pool.hash(slab, starts, lengths).finally(() => {
          settled = true;
        });
        task.catch(() => undefined);
        slab.release();
        // Piscina takes this for the end of the thread at once, as it does a real one.
        await nextTurn();
        thread.emit('error', new Error('boom'));
        for (let turn = 0; turn < 20; turn++) await nextTurn();
        // A task that was done before the thread was ended proves nothing.
        if (!settled) expect(pool.freeSlabs).toBe(pool.slabCount - 1);
        else expect(await task).toHaveLength(32);
        thread.letExit();
        await task.catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'WORKER_FAILED' });
        });
        expect(pool.freeSlabs).toBe(pool.slabCount);
        await pool.close();
      } finally {
        watched.restore();
      }
    },
  );
});

describe('a SHA-256 that pauses', () => {
  it('outlives the time after which idle threads end', async () => {
    const { createComputePool } = await builtWorkers();
    const pool = await createComputePool({ threads: 1, maxMemory: 8 * MIB, idleTimeoutMs: 1 });
    const [slab] = await pool.acquire(1);
    if (slab === undefined) throw new Error('no slab');
    slab.bytes.fill(7, 0, 20);
    const stream = pool.createSha256();
    await stream.update(slab, 0, 10);
    for (let round = 0; round < 3; round++) {
      await pool.hash(slab, Uint32Array.of(0), Uint32Array.of(1));
      await vi.waitFor(() => expect(pool.liveThreads).toBe(0), PATIENCE);
    }
    await stream.update(slab, 10, 20);
    const expected = createHash('sha256').update(new Uint8Array(20).fill(7)).digest();
    expect(Buffer.from(await stream.digest())).toEqual(expected);
    await pool.close();
  });
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
