import { afterEach, describe, expect, it } from 'vitest';
import { ThreadExecutor } from '../../src/workers/thread-executor.js';

const module = new URL('./moody-worker.mjs', import.meta.url);

describe('the thread executor', () => {
  const closers: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  async function executor(threads: number, setup: object = {}) {
    const made = new ThreadExecutor<string, string>(
      { module, handler: 'handle', threads, setup },
      'ping',
    );
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
});
