import { describe, expect, it } from 'vitest';
import { Demand } from '../../src/client/download/demand.js';
import { flushRule } from '../../src/client/download/flush-rule.js';
import { Lanes } from '../../src/client/download/lanes.js';
import { type Clock, Deferred, Scope } from '../../src/flow/index.js';

/** How many connections a download opens that must not have much on its way when it is killed. */

const ROOM = 1 << 18;

/** A clock that is moved by hand, in steps of 1 ms. */
function handClock(): { readonly clock: Clock; readonly pass: (ms: number) => void } {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  return {
    clock: {
      now: () => nowMs,
      unixMs: () => nowMs,
      setTimer(delayMs, callback) {
        const timer = { atMs: nowMs + delayMs, callback };
        timers.add(timer);
        return () => timers.delete(timer);
      },
    },
    pass(ms) {
      for (let i = 0; i < ms; i++) {
        nowMs++;
        for (const timer of [...timers]) {
          if (timer.atMs <= nowMs && timers.delete(timer)) timer.callback();
        }
      }
    },
  };
}

function answer(demand: Demand, connection: object, gotBytes: number): void {
  demand.asked(connection);
  demand.answered(connection, gotBytes, ROOM);
}

function world(most: number, jobCount: number) {
  const { clock, pass } = handClock();
  const scope = new Scope({ clock, what: 'the test' });
  const demand = new Demand(scope);
  const running: Deferred<void>[] = [];
  const jobs = Array.from({ length: jobCount }, (_, i) => i);
  const lanes = new Lanes({ scope, most, goodput: null, demand }, jobs, () => {
    const job = new Deferred<void>();
    running.push(job);
    return job.promise;
  });
  return { demand, lanes, pass, running, scope };
}

describe('lanes that are opened as there is use for them', () => {
  it('are all there soon when the other side is silent', () => {
    const { demand, pass, running } = world(8, 100);
    expect(running.length).toBe(1);
    const asked = new Set<object>();
    for (let look = 0; look < 8; look++) {
      for (const job of running) if (!asked.has(job)) demand.asked(job);
      for (const job of running) asked.add(job);
      pass(15);
    }
    expect(running.length).toBe(8);
  });

  it('stay few while one of them has more than is read', () => {
    const { demand, pass, running } = world(8, 100);
    const read = (got: number): void => answer(demand, running[0] as object, got);
    for (let i = 0; i < 50; i++) {
      // The first bytes after a head are few.
      read(i === 0 ? 1000 : ROOM);
      answer(demand, running[0] as object, ROOM);
      pass(15);
    }
    expect(running.length).toBe(1);
  });

  it('become more when what comes is read as fast as it comes', () => {
    const { demand, pass, running } = world(8, 100);
    for (let look = 0; look < 4; look++) {
      for (const job of [...running]) answer(demand, job, 5000);
      pass(15);
    }
    expect(running.length).toBe(8);
  });

  it('become fewer when a job ends and the others have enough to read, down to one', async () => {
    const { demand, lanes, pass, running, scope } = world(3, 100);
    for (let look = 0; look < 3; look++) {
      for (const job of [...running]) answer(demand, job, 5000);
      pass(15);
    }
    expect(running.length).toBe(3);
    answer(demand, running[0] as object, ROOM);
    running[1]?.resolve();
    running[2]?.resolve();
    await new Promise(setImmediate);
    expect(running.length).toBe(3);
    demand.left(running[0] as object);
    running[0]?.resolve();
    await new Promise(setImmediate);
    expect(running.length).toBe(4);
    lanes.stop();
    scope.end(new Error('over'));
  });
});

describe('received records', () => {
  const MIB = 1 << 20;
  const at = { ms: 0 };
  const rule = (fetchedBytes: number) => flushRule({ now: () => at.ms }, () => fetchedBytes);

  it('are passed on early at the start of a download, so that a kill loses little', () => {
    at.ms = 5;
    expect(rule(0).isDue(MIB / 8, 0)).toBe(true);
    expect(rule(0).isDue(MIB / 8 - 1, 0)).toBe(false);
    at.ms = 4;
    expect(rule(0).isDue(MIB - 1, 0)).toBe(false);
    expect(rule(0).isDue(MIB, 0)).toBe(true);
  });

  it('and in larger pieces the more has been fetched, up to eight times as large', () => {
    at.ms = 5;
    expect(rule(512 * MIB).isDue(MIB, 0)).toBe(false);
    expect(rule(512 * MIB).isDue(2 * MIB, 0)).toBe(true);
    at.ms = 10;
    expect(rule(512 * MIB).isDue(MIB / 4, 0)).toBe(true);
    at.ms = 40;
    expect(rule(1e12).isDue(MIB, 0)).toBe(true);
    expect(rule(1e12).isDue(MIB - 1, 0)).toBe(false);
  });
});
