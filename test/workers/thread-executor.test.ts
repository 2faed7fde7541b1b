import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as piscina from 'piscina';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { ThreadExecutor } from '../../src/workers/thread-executor.js';
import { watchWorkers } from './watched-workers.js';

const program = fileURLToPath(new URL('./moody-worker.mjs', import.meta.url));
const files = () => ({ path: () => program, piscina });

/** How long an end is waited for that comes at once on a quiet machine. */
const PATIENCE = { timeout: 10_000, interval: 5 };

/**
 * Waits for what the end of idle threads brings about. Piscina sometimes forgets the timer of a thread
 * that was given two messages in one turn: another message makes it start again.
 */
async function whenIdle(pool: ThreadExecutor<string, string>, check: () => void): Promise<void> {
  let looks = 0;
  await vi.waitFor(() => {
    if (++looks % 20 === 0 && pool.threadCount > 0) void pool.run('again');
    check();
  }, PATIENCE);
}

describe('the thread executor', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  async function executor(threads: number, setup: object = {}, idleTimeoutMs?: number) {
    const made = new ThreadExecutor<string, string>({
      files,
      program: 'moody-worker',
      handler: 'handle',
      threads,
      setup,
      ping: 'ping',
      idleTimeoutMs,
    });
    closers.push(() => made.close());
    return made;
  }

  it('starts no thread before there is work', async () => {
    const pool = await executor(2);
    expect(pool.threadCount).toBe(0);
    expect(await pool.run('a')).toBe('done a');
    expect(pool.threadCount).toBe(1);
  });

  it.each(['exit', 'throw later', 'heap'])(
    'survives a worker that ends by "%s": its task fails, all others run',
    async (how) => {
      for (const threads of [1, 2]) {
        const pool = await executor(threads);
        const before = pool.run('before');
        const dying = pool.run(how);
        dying.catch(() => undefined);
        const queued = ['a', 'b', 'c'].map((message) => pool.run(message));
        expect(await before).toBe('done before');
        await expect(dying).rejects.toMatchObject({ code: 'WORKER_FAILED' });
        expect(await Promise.all(queued)).toEqual(['done a', 'done b', 'done c']);
        expect(await pool.run('after')).toBe('done after');
      }
    },
  );

  it.each([{ failAtStart: true }, { exitAtStart: true }])(
    'fails everything that waits when no worker can start, and does so again',
    async (setup) => {
      const pool = await executor(2, setup);
      for (let round = 0; round < 2; round++) {
        const results = await Promise.allSettled(['a', 'b', 'c'].map((text) => pool.run(text)));
        for (const result of results) {
          expect(result).toMatchObject({ status: 'rejected', reason: { code: 'WORKER_FAILED' } });
        }
      }
    },
  );

  it('finishes what runs when it is closed, and takes nothing after', async () => {
    const pool = await executor(1);
    const running = ['a', 'b', 'c'].map((message) => pool.run(message));
    await Promise.all([pool.close(), pool.close()]);
    expect(await Promise.all(running)).toEqual(['done a', 'done b', 'done c']);
    await expect(pool.run('d')).rejects.toMatchObject({ code: 'CLOSED' });
    expect(pool.threadCount).toBe(0);
  });

  it('fails a message that cannot be sent, and goes on', async () => {
    const pool = await executor(1);
    const unsendable = (() => 1) as unknown as string;
    await expect(pool.run(unsendable)).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    expect(await pool.run('a')).toBe('done a');
  });

  it('does not take the end of idle threads for deaths: a burst after three of them runs', async () => {
    const watched = watchWorkers();
    try {
      const pool = await executor(3, {}, 1);
      let ends = 0;
      let burst: Promise<string[]> | null = null;
      // The moment at which the third idle thread is being ended.
      watched.onTerminate = () => {
        if (++ends !== 3) return;
        queueMicrotask(() => {
          burst = Promise.all(['d', 'e', 'f', 'g'].map((message) => pool.run(message)));
        });
      };
      await Promise.all(['a', 'b', 'c'].map((message) => pool.run(message)));
      await whenIdle(pool, () => expect(burst).not.toBeNull());
      expect(await burst).toEqual(['done d', 'done e', 'done f', 'done g']);
    } finally {
      watched.restore();
    }
  });

  it('tries again after one start that failed, although three idle threads ended before', async () => {
    const starts = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(starts, 1, -1);
    const pool = await executor(3, { starts }, 1);
    await Promise.all([1, 2, 3].map(() => pool.run('meet')));
    await whenIdle(pool, () => expect(pool.threadCount).toBe(0));
    const count = Atomics.load(starts, 0);
    Atomics.store(starts, 1, count);
    // One thread, whose start fails with the message in the queue.
    expect(await pool.run('d')).toBe('done d');
    expect(Atomics.load(starts, 0)).toBe(count + 2);
  });

  it('fails one message for one crash after two idle ends, and nothing else', async () => {
    const pool = await executor(3, {}, 1);
    for (let round = 0; round < 2; round++) {
      await Promise.all(['a', 'b'].map((message) => pool.run(message)));
      await whenIdle(pool, () => expect(pool.threadCount).toBe(0));
    }
    const results = await Promise.allSettled(['exit', 'a', 'b', 'c'].map((m) => pool.run(m)));
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
  });

  it('keeps an idle thread while it is told that there is state in it', async () => {
    const pool = await executor(2, {}, 1);
    pool.keepIdle(true);
    await pool.run('a');
    const other = await executor(1, {}, 1);
    // By the time that another idle thread has come and gone, this one would have, too.
    for (let round = 0; round < 2; round++) {
      await other.run('a');
      await whenIdle(other, () => expect(other.threadCount).toBe(0));
    }
    expect(pool.threadCount).toBe(1);
    pool.keepIdle(false);
    await pool.run('b');
    await whenIdle(pool, () => expect(pool.threadCount).toBe(0));
  });

  it('fails nothing that still runs when no other thread can start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-threads-'));
    try {
      const pipe = join(folder, 'pipe');
      execFileSync('mkfifo', [pipe]);
      const starts = new Int32Array(new SharedArrayBuffer(4));
      const pool = await executor(2, { starts, goodStarts: 1 });
      await pool.run('first');
      let settled = 0;
      const held = pool.run(`read ${pipe}`).finally(() => settled++);
      const queued = Promise.all(['a', 'b'].map((message) => pool.run(message)));
      queued.catch(() => undefined);
      // More threads than it takes to give up, one after the other.
      for (let round = 2; round <= 6; round++) {
        await vi.waitFor(
          () => expect(Atomics.load(starts, 0)).toBeGreaterThanOrEqual(round),
          PATIENCE,
        );
        await vi.waitFor(() => expect(pool.threadCount).toBe(1), PATIENCE);
        pool.run('more').catch(() => undefined);
      }
      expect(settled).toBe(0);
      await writeFile(pipe, 'x');
      expect(await held).toBe(`done read ${pipe}`);
      expect(await queued).toEqual(['done a', 'done b']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
