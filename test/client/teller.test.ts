import { describe, expect, it } from 'vitest';
import { type Pace, Teller } from '../../src/client/teller.js';
import { Scope } from '../../src/flow/index.js';
import { Scheduler } from '../flow/scheduler.js';

interface Standing {
  readonly phase: string;
  readonly totalBytes: number | undefined;
  readonly doneBytes: number;
}

function tellerOn(listener: (progress: Standing & Pace) => void) {
  const world = new Scheduler(1);
  const standing = { phase: 'resuming', totalBytes: 1000 as number | undefined, doneBytes: 0 };
  const scope = new Scope({ clock: world.clock });
  const teller = new Teller<Standing>({
    ...{ clock: world.clock, scope, listener },
    standing: () => ({ ...standing }),
    doneOf: ({ doneBytes }) => doneBytes,
  });
  return { world, standing, scope, teller };
}

describe('the listener of a transfer', () => {
  it('hears at least once a second while nothing happens, and nothing after the end', async () => {
    const heard: number[] = [];
    const { world, scope, teller } = tellerOn(() => heard.push(world.clock.now()));
    teller.tell();
    await world.advance(10_000);
    for (let i = 1; i < heard.length; i++) {
      expect((heard[i] as number) - (heard[i - 1] as number)).toBeLessThanOrEqual(1000);
    }
    expect(heard.at(-1)).toBeGreaterThan(9000);
    expect(heard.length).toBeLessThan(30);
    scope.close();
    const { length } = heard;
    await world.advance(10_000);
    expect(heard).toHaveLength(length);
  });

  it('is told the rate of the phase at hand, and what is left of the time', async () => {
    const heard: (Standing & Pace)[] = [];
    const { world, standing, scope, teller } = tellerOn((each) => heard.push(each));
    teller.tell();
    await world.advance(100);
    standing.doneBytes = 600;
    teller.tell();
    expect(heard.at(-1)).toMatchObject({ bytesPerSecond: 6000 });
    standing.phase = 'fetching';
    teller.tell();
    expect(heard.at(-1)).toMatchObject({ bytesPerSecond: 0, secondsLeft: undefined });
    await world.advance(2000);
    standing.doneBytes = 700;
    teller.tell();
    expect(heard.at(-1)).toMatchObject({ bytesPerSecond: 50, secondsLeft: 6 });
    standing.totalBytes = undefined;
    teller.tell();
    expect(heard.at(-1)?.secondsLeft).toBeUndefined();
    scope.close();
  });

  it('that throws is not called again', async () => {
    let calls = 0;
    const { world, teller } = tellerOn(() => {
      calls++;
      throw new Error('no window');
    });
    teller.tell();
    teller.tell();
    await world.advance(5000);
    expect(calls).toBe(1);
  });
});
