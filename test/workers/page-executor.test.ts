import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import type { Clock } from '../../src/flow/index.js';
import type { PageThreadReply, PageThreadSetup } from '../../src/workers/web/messages.js';
import { PageExecutor } from '../../src/workers/web/page-executor.js';
import type { PageThreadEvents } from '../../src/workers/web/page-thread.js';

/** A thread that does what a test says. */
interface FakeThread {
  readonly posted: unknown[];
  readonly setup: PageThreadSetup;
  isTerminated: boolean;
  say(reply: PageThreadReply): void;
  reply(reply: unknown): void;
  fail(text: string): void;
}

function rig(threads: number): {
  readonly made: FakeThread[];
  readonly executor: PageExecutor<string, string>;
  readonly exits: number[][];
  /** Lets the timers of idle threads fire. */
  passIdle(): void;
} {
  const made: FakeThread[] = [];
  const exits: number[][] = [];
  const timers = new Set<() => void>();
  const clock: Clock = {
    now: () => 0,
    unixMs: () => 0,
    setTimer(_delayMs, callback) {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  };
  const spawn = ({ onMessage, onError }: PageThreadEvents) => {
    const posted: unknown[] = [];
    const thread: FakeThread = {
      posted,
      isTerminated: false,
      get setup() {
        return posted[0] as PageThreadSetup;
      },
      say: (reply) => onMessage(reply),
      reply: (reply) => onMessage({ kind: 'reply', reply } satisfies PageThreadReply),
      fail: (text) => onError(new OrbweaverError('WORKER_FAILED', text)),
    };
    made.push(thread);
    return {
      post: (message: unknown) => posted.push(message),
      terminate: () => {
        thread.isTerminated = true;
      },
    };
  };
  const executor = new PageExecutor<string, string>({
    spawn,
    setup: (id) => ({ program: 'sha256', id, setup: { memory: null } }),
    threads,
    clock,
    onExit: (live) => exits.push([...live]),
  });
  const passIdle = (): void => {
    for (const callback of [...timers]) {
      timers.delete(callback);
      callback();
    }
  };
  return { made, executor, exits, passIdle };
}

describe('threads of a page', () => {
  it('start with work, and take one message at a time, the oldest first', async () => {
    const { made, executor } = rig(2);
    expect(made).toHaveLength(0);
    const replies = ['a', 'b', 'c'].map((message) => executor.run(message, []));
    expect(made.map(({ setup }) => setup.id)).toEqual([1, 2]);
    const [first, second] = made as [FakeThread, FakeThread];
    first.say({ kind: 'ready' });
    second.say({ kind: 'ready' });
    expect([first.posted.slice(1), second.posted.slice(1)]).toEqual([['a'], ['b']]);
    second.reply('B');
    expect(second.posted.slice(1)).toEqual(['b', 'c']);
    first.reply('A');
    second.reply('C');
    expect(await Promise.all(replies)).toEqual(['A', 'B', 'C']);
    await executor.close();
    expect(made.every(({ isTerminated }) => isTerminated)).toBe(true);
    await expect(executor.run('d', [])).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('end when they are idle, and stay while they are told to', async () => {
    const { made, executor, exits, passIdle } = rig(1);
    const reply = executor.run('a', []);
    made[0]?.say({ kind: 'ready' });
    executor.keepIdle(true);
    made[0]?.reply('A');
    await reply;
    passIdle();
    expect(executor.threadCount).toBe(1);
    executor.keepIdle(false);
    passIdle();
    expect(executor.threadCount).toBe(0);
    expect(exits).toEqual([[]]);
    // The next message finds another one.
    const next = executor.run('b', []);
    made[1]?.say({ kind: 'ready' });
    made[1]?.reply('B');
    expect(await next).toBe('B');
    await executor.close();
  });

  it('take the message that they had with them when they fail, and nothing else', async () => {
    const { made, executor, exits } = rig(1);
    const lost = executor.run('a', []);
    const other = executor.run('b', []);
    made[0]?.say({ kind: 'ready' });
    made[0]?.fail('it is gone');
    await expect(lost).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    expect(exits).toEqual([[]]);
    made[1]?.say({ kind: 'ready' });
    made[1]?.reply('B');
    expect(await other).toBe('B');
    await executor.close();
  });

  it('that never get ready fail what is queued, after some in a row', async () => {
    const { made, executor } = rig(1);
    const lost = executor.run('a', []);
    made[0]?.fail('no such program');
    made[1]?.say({
      kind: 'failed',
      failure: { ok: false, code: 'KERNEL_UNAVAILABLE', message: 'no memory', fields: {} },
    });
    made[2]?.fail('no such program');
    await expect(lost).rejects.toMatchObject({ message: 'no such program' });
    expect(executor.threadCount).toBe(0);
    await executor.close();
  });

  it('close after what runs', async () => {
    const { made, executor } = rig(1);
    const reply = executor.run('a', []);
    made[0]?.say({ kind: 'ready' });
    let isClosed = false;
    const closing = executor.close().then(() => {
      isClosed = true;
    });
    await Promise.resolve();
    expect(isClosed).toBe(false);
    made[0]?.reply('A');
    expect(await reply).toBe('A');
    await closing;
    expect(made[0]?.isTerminated).toBe(true);
  });
});
