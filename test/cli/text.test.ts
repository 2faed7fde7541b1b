import { describe, expect, it } from 'vitest';
import { createProgressBar, totalBytesOf } from '../../src/cli/progress.js';
import { printable } from '../../src/cli/text.js';
import { Scheduler } from '../flow/scheduler.js';
import { contextOf } from './context.js';
import { runCli } from './run-cli.js';

describe('the progress line', () => {
  it('shows percentage, amounts, rate and the time that is left', async () => {
    const context = contextOf(true);
    const world = new Scheduler(1);
    const bar = createProgressBar(context, 'uploading', false, world.clock);
    await world.advance(10_000);
    bar.update(25 << 20, 100 << 20, 'x sent');
    expect(context.drawn()).toContain(
      '[######------------------] 25 %  25.0 MiB of 100 MiB  2.5 MiB/s  30 s left  x sent',
    );
    await world.advance(1000);
    bar.update(100 << 20, 100 << 20);
    expect(context.drawn()).toMatch(/100 % .*MiB\/s {2}$/);
    bar.clear();
  });

  it('shows the rate of the last seconds, and a stall without being told', async () => {
    const context = contextOf(true);
    const world = new Scheduler(1);
    const bar = createProgressBar(context, 'uploading', false, world.clock);
    for (let i = 1; i <= 20; i++) {
      await world.advance(1000);
      bar.update(i << 20, 100 << 20);
    }
    expect(context.drawn()).toMatch(/20.0 MiB of 100 MiB {2}1.0 MiB\/s {2}1 min 20 s left/);
    await world.advance(20_000);
    expect(context.drawn().split('\r').at(-1)).toMatch(/20.0 MiB of 100 MiB {2}0 B\/s {2}$/);
    bar.clear();
  });

  it('shows the amount alone when the total is not known', async () => {
    const context = contextOf(true);
    const world = new Scheduler(1);
    const bar = createProgressBar(context, 'cutting', false, world.clock);
    await world.advance(1000);
    bar.update(1 << 20, undefined);
    expect(context.drawn()).toContain('cutting 1.0 MiB  1.0 MiB/s');
    bar.clear();
  });

  it('is not drawn again once it was removed, and never where there is no terminal', async () => {
    const context = contextOf(true);
    const world = new Scheduler(1);
    const bar = createProgressBar(context, 'x', false, world.clock);
    for (let i = 0; i < 3; i++) {
      await world.advance(1000);
      bar.update(i, 10);
    }
    context.drawn();
    bar.clear();
    expect(context.drawn()).toBe('\r\u001b[K');
    await world.advance(1000);
    bar.update(5, 10);
    bar.clear();
    await world.advance(5000);
    expect(context.drawn()).toBe('');
    const plain = contextOf(false);
    createProgressBar(plain, 'x', false).update(1, 2);
    expect(plain.drawn()).toBe('');
  });

  it('has a total although a file is missing, and none with a pipe', async () => {
    const context = contextOf(true);
    const self = import.meta.filename;
    const [one, two] = [await totalBytesOf([self], context), 2];
    expect(one).toBeGreaterThan(1000);
    expect(await totalBytesOf([self, '/none', self], context)).toBe(two * (one as number));
    expect(await totalBytesOf([self, '-'], context)).toBeUndefined();
    expect(await totalBytesOf([self, '/dev/null'], context)).toBeUndefined();
  });
});

describe('text for a terminal', () => {
  it('escapes control characters and marks of direction', () => {
    expect(printable('a\u001b[2Jb\u202ec\u009bd\ne ü 🕸')).toBe(
      'a\\u{1b}[2Jb\\u{202e}c\\u{9b}d\\u{a}e ü 🕸',
    );
  });

  it('is escaped in messages about files', async () => {
    const context = contextOf(false);
    expect(await runCli(['chunk', '/no\u001b[2J'], context)).toBe(3);
    expect(context.drawn()).toContain('/no\\u{1b}[2J');
  });
});
