import { describe, expect, it } from 'vitest';
import { Demand } from '../../src/client/download/demand.js';
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
    const read = (got: number): void => demand.asked(running[0] as object)(got, ROOM);
    for (let i = 0; i < 50; i++) {
      // The first bytes after a head are few.
      read(i === 0 ? 1000 : ROOM);
      demand.asked(running[0] as object)(ROOM, ROOM);
      pass(15);
    }
    expect(running.length).toBe(1);
  });

  it('become more when what comes is read as fast as it comes', () => {
    const { demand, pass, running } = world(8, 100);
    for (let look = 0; look < 4; look++) {
      for (const job of [...running]) demand.asked(job)(5000, ROOM);
      pass(15);
    }
    expect(running.length).toBe(8);
  });

  it('become fewer when a job ends and the others have enough to read, down to one', async () => {
    const { demand, lanes, pass, running, scope } = world(3, 100);
    for (let look = 0; look < 3; look++) {
      for (const job of [...running]) demand.asked(job)(5000, ROOM);
      pass(15);
    }
    expect(running.length).toBe(3);
    demand.asked(running[0] as object)(ROOM, ROOM);
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
