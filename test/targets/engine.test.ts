import { describe, expect, it } from 'vitest';
import { OrbweaverError } from '../../src/errors.js';
import { Budget } from '../../src/flow/index.js';
import { readAll } from '../../src/http/index.js';
import {
  cancelTransfer,
  classOf,
  type Pending,
  type RunTargetOptions,
  runTarget,
  runTargets,
  type TargetResult,
  targetError,
  type UploadTarget,
} from '../../src/transport/targets.js';
import { generate } from '../support/generators.js';
import { countedSource, digests, impatientClock, memoryJournal } from './support.js';

const bytes = generate({ kind: 'splitmix64', seed: 77, bytes: 100_000 });

/** A target in memory, of which a test replaces what it is about. */
function memoryTarget(change: Partial<UploadTarget> = {}, partBytes = 10_000): UploadTarget {
  return {
    kind: 'multipart',
    abilities: {
      unit: 'fixed-parts',
      parallelParts: 4,
      resume: 'parts',
      dedup: 'none',
      asyncCommit: false,
      costsMoney: false,
      cancel: 'client-only',
    },
    digests: { beforePlan: [], beforeCommit: ['sha256'] },
    repeatable: { send: 'yes', commit: 'never' },
    async plan({ source }) {
      const parts = [];
      for (let start = 0; start < source.sizeBytes; start += partBytes) {
        const end = Math.min(source.sizeBytes, start + partBytes);
        parts.push({ index: parts.length, start, end });
      }
      return { ids: { task: 't1' }, state: {}, parts };
    },
    async send(_plan, { index }, body) {
      await readAll(await body.open(), 1 << 30);
      return { index };
    },
    async commit(_plan, _acks, context) {
      const { sha256 } = context.digests;
      const evidence = { sizeBytes: context.source.sizeBytes, digests: { sha256: sha256 ?? null } };
      return { state: 'done', ids: { file: 'f1' }, deduplicated: false, evidence };
    },
    status: async () => expect.fail('nothing is pending'),
    check: async () => ({ made: 'no' }),
    ...change,
  };
}

function run(
  target: UploadTarget,
  options: Partial<RunTargetOptions> = {},
  source = countedSource(bytes),
): Promise<TargetResult> {
  return runTarget(source, target, {
    clock: impatientClock(),
    random: () => 0.5,
    digests,
    ...options,
  });
}

async function failureOf(
  running: Promise<unknown>,
): Promise<Error & { code: string; fields: Record<string, unknown> }> {
  return running.then(
    () => expect.fail('expected a failure'),
    (error) => error,
  );
}

const lost = (): Error =>
  targetError({ kind: 'multipart', class: 'transient', code: 'NETWORK', message: 'cut' });

describe('the engine of upload targets', () => {
  it('holds no more parts than its budget, and as many at once as the target allows', async () => {
    for (const [capacityBytes, expected] of [
      [1 << 20, 4],
      [25_000, 2],
      [10_000, 1],
    ] as const) {
      const budget = new Budget({ capacityBytes });
      let now = 0;
      let most = 0;
      const target = memoryTarget({
        async send(_plan, { index }, body) {
          most = Math.max(most, ++now);
          for (let i = 0; i < 4; i++) await new Promise(setImmediate);
          await readAll(await body.open(), 1 << 20);
          now--;
          return { index };
        },
      });
      await run(target, { budget });
      expect(most).toBe(expected);
      expect(budget.peakBytes).toBeLessThanOrEqual(capacityBytes);
      expect(budget.usedBytes).toBe(0);
    }
  });

  it('streams a part that is larger than the whole budget', async () => {
    const budget = new Budget({ capacityBytes: 15_000 });
    const hadViews: boolean[] = [];
    const got: Uint8Array[] = [];
    const target = memoryTarget(
      {
        async send(_plan, { index }, part) {
          const body = await part.open();
          hadViews.push(body.nextView !== undefined);
          got.push(await readAll(body, 1 << 20));
          return { index };
        },
      },
      40_000,
    );
    const result = await run(target, { budget });
    expect(result.verified).toBe(true);
    expect(hadViews).toEqual([false, false, false]);
    expect(Buffer.compare(Buffer.concat(got), bytes)).toBe(0);
    expect(budget.peakBytes).toBe(0);
  });

  it('gives a part that is sent again the same bytes, and digests them once', async () => {
    for (const [unit, parallelParts] of [
      ['fixed-parts', 4],
      ['whole', 1],
    ] as const) {
      const tries = new Map<number, number>();
      const source = countedSource(bytes);
      const { abilities } = memoryTarget();
      const target = memoryTarget(
        {
          abilities: { ...abilities, unit, parallelParts },
          async send(_plan, { index, start, end }, part) {
            const body = await part.open();
            const tried = (tries.get(index) ?? 0) + 1;
            tries.set(index, tried);
            const cut = tried < 3;
            const got = new Uint8Array(cut ? 5000 : end - start);
            for (let at = 0, count = 1; count > 0 && at < got.length; at += count) {
              count = await body.fill(got.subarray(at));
            }
            body.cancel();
            if (cut) throw lost();
            expect(Buffer.compare(got, bytes.subarray(start, end))).toBe(0);
            return { index };
          },
        },
        unit === 'whole' ? bytes.length : 10_000,
      );
      expect((await run(target, {}, source)).verified).toBe(true);
      expect(source.opened).toBe(unit === 'whole' ? 3 : 1);
    }
  });

  it('cannot send a stream twice, and says so', async () => {
    const { abilities } = memoryTarget();
    const target = memoryTarget(
      {
        abilities: { ...abilities, unit: 'whole', parallelParts: 1 },
        async send(_plan, _part, body) {
          (await body.open()).cancel();
          throw lost();
        },
      },
      bytes.length,
    );
    const source = countedSource(bytes, { reopenable: false });
    // The first loss leaves the reader at the start: only what was read cannot be read again.
    const error = await failureOf(run(target, {}, source));
    expect(['UNSUPPORTED', 'NETWORK']).toContain(error.code);
    expect(source.opened).toBe(1);
  });

  it('writes into the journal, and waits for the disk, before a commit that must not be made twice', async () => {
    const order: string[] = [];
    const journal = memoryJournal();
    const append = journal.append.bind(journal);
    const slow = {
      ...journal,
      entries: journal.entries,
      append: async (entry: { type: string }, options?: { durable?: boolean }) => {
        await new Promise(setImmediate);
        await append(entry, options);
        order.push(`${entry.type}${options?.durable === true ? '!' : ''}`);
      },
    };
    const target = memoryTarget({
      async commit(...args) {
        order.push('COMMIT');
        return memoryTarget().commit(...args);
      },
    });
    await run(target, { journal: slow });
    expect(order.slice(0, 2)).toEqual(['plan!', 'ack']);
    expect(order.slice(-3)).toEqual(['digests', 'commit!', 'COMMIT']);
  });

  it('never repeats in the same run what must not be repeated, even if it was not made', async () => {
    for (const made of ['no', 'unknown'] as const) {
      let commits = 0;
      const target = memoryTarget({
        async commit() {
          commits++;
          throw lost();
        },
        check: async () => ({ made }),
      });
      const journal = memoryJournal();
      const error = await failureOf(run(target, { journal }));
      expect(error.code).toBe('OUTCOME_UNKNOWN');
      expect(error.fields).toMatchObject({ class: 'unknown-outcome', task: 't1' });
      expect(commits).toBe(1);
      expect(journal.state).toBe('closed');
      // A later run looks first.
      const later = memoryJournal(journal.entries);
      const fixed = memoryTarget({ check: async () => ({ made }) });
      if (made === 'no') expect((await run(fixed, { journal: later })).state).toBe('done');
      else expect((await failureOf(run(fixed, { journal: later }))).code).toBe('OUTCOME_UNKNOWN');
    }
  });

  it('takes what a look finds for the response that was lost', async () => {
    let commits = 0;
    const target = memoryTarget({
      async commit() {
        commits++;
        throw lost();
      },
      check: async (plan, step, context) => {
        expect(step.step).toBe('commit');
        return { made: 'yes', result: await memoryTarget().commit(plan, [], context) };
      },
    });
    expect(await run(target)).toMatchObject({ state: 'done', verified: true });
    expect(commits).toBe(1);
  });

  it('looks before it sends a part again that must not be sent twice unseen', async () => {
    const steps: string[] = [];
    const target = memoryTarget({
      repeatable: { send: 'after-check', commit: 'never' },
      async send(_plan, { index }, body) {
        steps.push(`send ${index}`);
        await readAll(await body.open(), 1 << 20);
        if (index === 1 && !steps.includes('check 1')) throw lost();
        return { index };
      },
      check: async (_plan, step) => {
        if (step.step === 'send') steps.push(`check ${step.part.index}`);
        return { made: 'no' };
      },
      abilities: { ...memoryTarget().abilities, parallelParts: 1 },
    });
    const journal = memoryJournal();
    await run(target, { journal }, countedSource(bytes.subarray(0, 30_000)));
    expect(steps).toEqual(['send 0', 'send 1', 'check 1', 'send 1', 'send 2']);
    const types = journal.entries.map(({ type }) => type);
    expect(types.filter((type) => type === 'send')).toHaveLength(3);
    expect(types.indexOf('send')).toBeLessThan(types.indexOf('ack'));
  });

  it('does not finish what is not right, and forgets it unless money was spent', async () => {
    for (const costsMoney of [false, true]) {
      const target = memoryTarget({
        abilities: { ...memoryTarget().abilities, costsMoney },
        commit: async () => ({
          state: 'done',
          ids: { file: 'f1' },
          deduplicated: false,
          evidence: { sizeBytes: bytes.length, digests: { sha256: '0'.repeat(64) } },
        }),
      });
      const journal = memoryJournal();
      const error = await failureOf(run(target, { journal }));
      expect(classOf(error)).toBe('integrity');
      expect(error.fields).toMatchObject({ file: 'f1', digest: 'sha256' });
      expect(journal.state).toBe(costsMoney ? 'closed' : 'dropped');
    }
  });

  it('is not verified by a target that tells nothing, or a size only', async () => {
    for (const evidence of [
      {},
      { sizeBytes: bytes.length },
      { digests: { md5: 'unknown here' } },
    ]) {
      const target = memoryTarget({
        commit: async () => ({ state: 'done', ids: {}, deduplicated: false, evidence }),
      });
      expect((await run(target)).verified).toBe(false);
    }
  });

  const pending = (stage: string, more: Partial<Pending> = {}): Pending => ({
    state: 'pending',
    ids: { ticket: 'x' },
    progress: { stage, fraction: null },
    ...more,
  });

  it('looks at growing intervals, and gives up when nothing changes for too long', async () => {
    const clock = impatientClock();
    const target = memoryTarget({
      commit: async () =>
        pending('slow', { patienceMs: 3_600_000, pollMs: { first: 2000, most: 60_000 } }),
      status: async (_plan, last) => last,
    });
    const journal = memoryJournal();
    const error = await failureOf(run(target, { clock, journal }));
    expect(error.code).toBe('OUTCOME_UNKNOWN');
    expect(error.fields['ticket']).toBe('x');
    expect(journal.state).toBe('closed');
    expect(clock.slept[0]).toBe(2000);
    expect(clock.slept[1]).toBe(3000);
    expect(Math.max(...clock.slept)).toBe(60_000);
    expect(clock.now()).toBeGreaterThanOrEqual(3_600_000);
    expect(clock.now()).toBeLessThan(3_700_000);
  });

  it('does not mind looks that fail, up to a point', async () => {
    for (const failures of [9, 11]) {
      let looks = 0;
      const target = memoryTarget({
        commit: async () => pending('slow'),
        status: async (plan, _pending, context) => {
          if (looks++ < failures) throw lost();
          return memoryTarget().commit(plan, [], context) as never;
        },
      });
      const running = run(target);
      if (failures === 9) expect((await running).state).toBe('done');
      else expect((await failureOf(running)).code).toBe('OUTCOME_UNKNOWN');
    }
  });

  it('watches many files with one request for all that are due, and each ends on its own', async () => {
    const asked: number[] = [];
    const looks = new Map<string, number>();
    const target = memoryTarget({
      commit: async (_plan, _acks, { source }) => pending('slow', { ids: { name: source.name } }),
      async statusAll(transfers) {
        asked.push(transfers.length);
        return Promise.all(
          transfers.map(async ({ plan, pending: last, context }) => {
            const { name } = context.source;
            const look = (looks.get(name) ?? 0) + 1;
            looks.set(name, look);
            if (look < Number(name)) return last;
            if (name === '2') {
              const error = targetError({ kind: 'multipart', class: 'conflict', message: 'taken' });
              return { state: 'failed' as const, ids: {}, error };
            }
            return memoryTarget().commit(plan, [], context) as never;
          }),
        );
      },
    });
    const clock = impatientClock();
    const results = await runTargets(
      ['1', '2', '3'].map((name) => ({
        source: countedSource(bytes, { name }),
        options: { clock, random: () => 0.5, digests },
      })),
      target,
    );
    expect(asked).toEqual([3, 2, 1]);
    expect(results[0]).toMatchObject({ state: 'done', name: '1' });
    expect(classOf(results[1])).toBe('conflict');
    expect(results[2]).toMatchObject({ state: 'done', name: '3' });
  });

  it('reads only what it must on resuming: nothing, when all is there and its digests are known', async () => {
    const target = memoryTarget({
      digests: { beforePlan: ['sha256'], beforeCommit: ['sha256'] },
      async plan(context, prior) {
        const plan = await memoryTarget().plan(context);
        const there = new Set(prior?.acks.map(({ index }) => index));
        return { ...plan, parts: plan.parts.filter(({ index }) => !there.has(index)) };
      },
    });
    const journal = memoryJournal();
    const refusing = { ...target, commit: async () => Promise.reject(refusal()) };
    await failureOf(run(refusing, { journal }));
    const source = countedSource(bytes);
    const entries = journal.entries.filter(({ type }) => type !== 'commit');
    expect((await run(target, { journal: memoryJournal(entries) }, source)).verified).toBe(true);
    expect(source.opened).toBe(0);
  });

  const refusal = (): Error =>
    targetError({ kind: 'multipart', class: 'auth', message: 'the key is no longer good' });

  it('keeps the notes of a target over plans and runs', async () => {
    const seen: string[] = [];
    let plans = 0;
    const target = memoryTarget({
      async plan(context) {
        seen.push(context.notes.map(({ kind }) => kind).join());
        await context.note(`plan ${++plans}`, { paid: '204.5' });
        return { ...(await memoryTarget().plan(context)), ids: { task: `t${plans}` } };
      },
      async send() {
        if (plans === 1) {
          throw targetError({
            kind: 'multipart',
            class: 'transient',
            message: 'gone',
            planAgain: true,
          });
        }
        throw refusal();
      },
    });
    const journal = memoryJournal();
    await failureOf(run(target, { journal }));
    await failureOf(run(target, { journal: memoryJournal(journal.entries) }));
    expect(seen).toEqual(['', 'plan 1', 'plan 1,plan 2']);
  });

  it('refuses parts that overlap, go back or leave the file', async () => {
    for (const part of [
      { index: 1, start: 5, end: 10 },
      { index: 0, start: 10, end: 20 },
      { index: 1, start: 10, end: 200_000 },
      { index: 1, start: 20, end: 15 },
    ]) {
      const target = memoryTarget({
        plan: async () => ({ ids: {}, state: {}, parts: [{ index: 0, start: 0, end: 10 }, part] }),
      });
      expect((await failureOf(run(target))).code).toBe('PROTOCOL');
    }
  });

  it('refuses a file that is too large before anything is read', async () => {
    const { abilities } = memoryTarget();
    const target = memoryTarget({ abilities: { ...abilities, maxBytes: 99_999 } });
    const source = countedSource(bytes);
    expect((await failureOf(run(target, {}, source))).code).toBe('LIMIT_EXCEEDED');
    expect(source.opened).toBe(0);
  });

  it('stops reading and sending when one part is refused for good', async () => {
    let sends = 0;
    const source = countedSource(bytes);
    const target = memoryTarget({
      async send() {
        sends++;
        throw refusal();
      },
    });
    expect(classOf(await failureOf(run(target, {}, source)))).toBe('auth');
    expect(sends).toBeLessThanOrEqual(4);
    expect(source.readBytes).toBeLessThanOrEqual(50_000);
  });

  it('keeps the journal when something of this machine fails', async () => {
    for (const code of ['DISK_FULL', 'WORKER_FAILED', 'INPUT_UNREADABLE'] as const) {
      const journal = memoryJournal();
      const target = memoryTarget({
        send: async () => Promise.reject(new OrbweaverError(code, 'of this machine')),
      });
      expect((await failureOf(run(target, { journal }))).code).toBe(code);
      expect(journal.state).toBe('closed');
    }
  });

  it('lets a request that was given up read nothing any more', async () => {
    const { abilities } = memoryTarget();
    const got: Uint8Array[] = [];
    let stale: Promise<unknown> = Promise.resolve();
    const target = memoryTarget(
      {
        abilities: { ...abilities, unit: 'whole', parallelParts: 1 },
        async send(_plan, { index }, part) {
          const first = await part.open();
          const piece = new Uint8Array(1000);
          await first.fill(piece);
          // As a wire does that has not noticed yet.
          const second = await part.open();
          stale = first.fill(piece).catch((error: unknown) => error);
          got.push(await readAll(second, 1 << 20));
          return { index };
        },
      },
      bytes.length,
    );
    expect((await run(target)).verified).toBe(true);
    expect(Buffer.compare(Buffer.concat(got), bytes)).toBe(0);
    expect(await stale).toMatchObject({ code: 'ABORTED' });
  });

  it('gives up an earlier transfer at the target and here', async () => {
    const cancelled: string[] = [];
    for (const outcome of ['cancelled', 'too-late', 'unsupported'] as const) {
      const target = memoryTarget({
        async cancel({ ids }) {
          cancelled.push(ids['task'] ?? '');
          return outcome;
        },
      });
      const journal = memoryJournal([
        { type: 'begin' },
        { type: 'plan', data: { ids: { task: 't9' }, state: {} } },
      ]);
      expect(await cancelTransfer(target, journal, new AbortController().signal)).toBe(outcome);
      expect(journal.state).toBe(outcome === 'too-late' ? 'closed' : 'dropped');
    }
    expect(cancelled).toEqual(['t9', 't9', 't9']);
  });
});
