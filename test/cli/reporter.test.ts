import { describe, expect, it } from 'vitest';
import { COMMON, type ParsedArgs, parseWith, tableOf } from '../../src/cli/command.js';
import { createReporter, type ReporterOptions } from '../../src/cli/reporter.js';
import { masked, secretsOf } from '../../src/cli/secrets.js';
import type { RetryEvent } from '../../src/index.js';
import { Scheduler } from '../flow/scheduler.js';
import { contextOf } from './context.js';

const SECRET = 'hf_aVeryLongToken';
const argsOf = (...argv: string[]): ParsedArgs => parseWith(argv, tableOf(COMMON));
const retry: RetryEvent = {
  operation: 'POST /v1/xorbs',
  attempt: 1,
  code: 'NETWORK',
  message: `Bearer ${SECRET} to https://h/x?sig=abc was cut off (ECONNRESET)`,
  status: null,
  delayMs: 3000,
};
const optionsOf = (world: Scheduler): ReporterOptions => ({
  command: 'upload',
  label: 'uploading',
  wireLabel: 'sent',
  secrets: [SECRET],
  clock: world.clock,
});
const MIB = 1024 * 1024;

describe('a reporter of a terminal', () => {
  it('shows the whole and the file at hand, and a retry until bytes move again', async () => {
    const world = new Scheduler(1);
    const context = { ...contextOf(true), columns: 200 };
    const reporter = createReporter(argsOf(), context, optionsOf(world));
    await world.advance(1000);
    const state = {
      doneBytes: MIB,
      totalBytes: 4 * MIB,
      wireBytes: 1024,
      doneFileCount: 1,
      fileCount: 3,
      file: { path: '/a/b.bin', doneBytes: 10, totalBytes: 40 },
    };
    reporter.update(state);
    expect(context.drawn()).toMatch(
      /25 % {2}1.0 MiB of 4.0 MiB {2}1.0 MiB\/s {2}3 s left {2}1 of 3 files, b.bin 25.0 %, 1.0 KiB sent/,
    );
    await world.advance(200);
    reporter.retry(retry);
    expect(context.drawn()).toContain('POST /v1/xorbs failed (NETWORK), attempt 2 in 3 s');
    await world.advance(1000);
    expect(context.drawn()).toContain('attempt 2 in 3 s');
    await world.advance(3000);
    context.drawn();
    reporter.update({ ...state, doneBytes: 2 * MIB });
    expect(context.drawn()).toContain('b.bin');
    await world.advance(200);
    const finalization = { verified: 3, total: 8 };
    reporter.update({ ...state, doneBytes: 4 * MIB, phase: 'registering', finalization });
    expect(context.drawn()).toMatch(/registering \[#+\].*3 of 8 checked/);
    reporter.clear();
    reporter.retry(retry);
    reporter.update(state);
    await world.advance(5000);
    expect(context.drawn()).toBe('\r\u001b[K');
  });

  it('says the cause of each retry with --verbose, on a terminal or not, without secrets', () => {
    const world = new Scheduler(1);
    const context = contextOf(false);
    createReporter(argsOf('--verbose'), context, optionsOf(world)).retry(retry);
    expect(context.drawn()).toBe(
      'POST /v1/xorbs failed (NETWORK), attempt 2 in 3 s: Bearer *** to https://h/x?*** was cut off (ECONNRESET)\n',
    );
    for (const quiet of ['--quiet', '--json']) {
      createReporter(argsOf(quiet), context, optionsOf(world)).retry(retry);
    }
    expect(context.drawn()).toBe('');
  });

  it('says where no bar is drawn that requests are repeated, in a line every two seconds at most', async () => {
    const world = new Scheduler(1);
    const context = contextOf(false);
    const reporter = createReporter(argsOf(), context, optionsOf(world));
    reporter.retry(retry);
    reporter.retry(retry);
    const line = 'orbweaver: POST /v1/xorbs failed (NETWORK), attempt 2 in 3 s\n';
    expect(context.drawn()).toBe(line);
    await world.advance(2000);
    reporter.retry(retry);
    expect(context.drawn()).toBe(line);
  });

  it('names the request that is made in the place of another one', () => {
    const context = contextOf(false);
    const reporter = createReporter(argsOf(), context, optionsOf(new Scheduler(1)));
    reporter.retry({ ...retry, operation: 'POST /v1/xorb-grants', instead: 'POST /v1/xorbs' });
    expect(context.drawn()).toBe(
      'orbweaver: POST /v1/xorb-grants failed (NETWORK), POST /v1/xorbs instead\n',
    );
  });
});

describe('events of --json=stream', () => {
  it('come at least once a second while bytes move and at most ten times, and end with the command', async () => {
    const world = new Scheduler(1);
    const context = contextOf(false);
    const lines: { at: number; event: Record<string, unknown> }[] = [];
    const stdout = {
      write: (line: string) => lines.push({ at: world.clock.now(), event: JSON.parse(line) }),
    };
    const reporter = createReporter(argsOf('--json=stream'), context, {
      ...optionsOf(world),
      events: stdout as unknown as typeof context.stdout,
    });
    const update = (doneBytes: number): void =>
      reporter.update({ doneBytes, totalBytes: 1000, wireBytes: 0 });
    for (let i = 0; i < 200; i++) {
      update(i);
      await world.advance(10);
    }
    // One piece right after an event, and then nothing for long.
    update(500);
    await world.advance(8000);
    reporter.update({
      ...{ doneBytes: 1000, totalBytes: 1000, wireBytes: 7, newBytes: 600, dedupedBytes: 400 },
      ...{ phase: 'registering', finalization: { verified: 3, total: 8 } },
    });
    reporter.retry(retry);
    reporter.warn('no cache');
    reporter.clear();
    update(900);
    await world.advance(2000);
    expect(lines[0]?.event).toEqual({ type: 'start', version: 1, command: 'upload' });
    const progress = lines.filter(({ event }) => event['type'] === 'progress');
    for (let from = 0; from < 10_000; from += 1000) {
      const inside = progress.filter(({ at }) => at >= from && at < from + 1000);
      expect(inside.length).toBeGreaterThanOrEqual(1);
      expect(inside.length).toBeLessThanOrEqual(10);
    }
    const idle = progress.at(-2)?.event;
    expect(idle).toMatchObject({ doneBytes: 500, totalBytes: 1000, bytesPerSecond: 0 });
    expect(progress.at(-1)?.event).toEqual({
      type: 'progress',
      phase: 'registering',
      doneBytes: 1000,
      totalBytes: 1000,
      newBytes: 600,
      dedupedBytes: 400,
      wireBytes: 7,
      bytesPerSecond: 0,
      secondsLeft: 0,
      finalization: { verified: 3, total: 8 },
    });
    expect(lines.map(({ event }) => event['type']).slice(-2)).toEqual(['retry', 'warning']);
    expect(JSON.stringify(lines)).not.toContain(SECRET);
  });

  it('are asked for with one spelling only', () => {
    expect(argsOf('--json=stream').flag('json')).toBe(true);
    expect(() => argsOf('--json=lines')).toThrow(/--json/);
    expect(argsOf('--', '--json=stream').positionals).toEqual(['--json=stream']);
  });
});

describe('secrets', () => {
  it('are masked wherever they may stand', () => {
    const secrets = secretsOf(['up', '--token', SECRET, '--write-token=other1'], {
      ORBWEAVER_TOKEN: 'from-env',
      HF_TOKEN: 'hf_env',
      HOME: '/home/me',
    });
    expect(secrets).toEqual([SECRET, 'other1', 'from-env', 'hf_env']);
    expect(masked(`x ${SECRET} other1 from-env hf_env /home/me`, secrets)).toBe(
      'x *** *** *** *** /home/me',
    );
    expect(masked('authorization: bearer abc.def, http://u:p@h/a?X-Sig=1&b=2 end')).toBe(
      'authorization: Bearer ***, http://***@h/a?*** end',
    );
  });
});
