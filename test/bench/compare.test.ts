import { describe, expect, it } from 'vitest';
import { compareReports, comparisonText, type Sample } from '../../src/bench/index.js';
import { report, sample, variant } from './sample-report.js';

const runs = (...times: number[]): Sample[] => times.map((time) => sample(time));
const wall = (name: string): string => `upload-something · ${name} · wall time`;

describe('the comparison of two reports', () => {
  it('is silent about the same report', () => {
    const same = report([variant('orbweaver', runs(100, 101, 102))]);
    const { changes, caveats, comparedCount } = compareReports(same, same);
    expect(changes).toEqual([]);
    expect(caveats).toEqual([]);
    expect(comparedCount).toBe(9);
  });

  it('names a regression and an improvement beyond the noise, the worst first', () => {
    const before = report([variant('orbweaver', runs(100, 101, 102))]);
    const after = report([
      variant(
        'orbweaver',
        [150, 151, 152].map((time) => sample(time, { peakBytes: 50 << 20 })),
      ),
    ]);
    const { changes } = compareReports(before, after);
    expect(changes.map(({ name, kind }) => [name, kind])).toEqual([
      [wall('orbweaver'), 'regression'],
      ['upload-something · orbweaver · CPU time', 'regression'],
      ['upload-something · orbweaver · peak memory', 'improvement'],
    ]);
    expect(changes[0]?.ratio).toBeCloseTo(151 / 101);
    expect(changes.map(({ text }) => text)).toEqual([
      '0.101 s → 0.151 s',
      '0.151 s → 0.227 s',
      '100 MiB → 50.0 MiB',
    ]);
  });

  it('holds still within three times the measured noise, and never below the floor', () => {
    const noisy = report([variant('orbweaver', runs(80, 100, 120))]);
    const slower = report([variant('orbweaver', runs(110, 130, 150))]);
    expect(compareReports(noisy, slower).changes).toEqual([]);
    const still = report([variant('orbweaver', runs(1000, 1000, 1000))]);
    const little = report([variant('orbweaver', runs(1080, 1080, 1080))]);
    const more = report([variant('orbweaver', runs(1100, 1100, 1100))]);
    expect(compareReports(still, little).changes).toEqual([]);
    expect(compareReports(still, more).changes.map(({ name }) => name)).toContain(
      wall('orbweaver'),
    );
  });

  it('does not call a regression what one build differs by from run to run', () => {
    // Requests that vary from run to run and were the same three times by chance; a run that overlaps.
    const before = report([
      variant('orbweaver', [
        sample(100, { requests: 12 }),
        sample(101, { requests: 12 }),
        sample(130, { requests: 12 }),
      ]),
    ]);
    const after = report([
      variant('orbweaver', [
        sample(128, { requests: 15 }),
        sample(129, { requests: 15 }),
        sample(131, { requests: 15 }),
      ]),
    ]);
    expect(compareReports(before, after).changes).toEqual([]);
    // Twice as many requests are one.
    const chatty = report([variant('orbweaver', [sample(100, { requests: 24 })])]);
    const quiet = report([variant('orbweaver', [sample(100, { requests: 12 })])]);
    expect(compareReports(quiet, chatty).changes).toMatchObject([{ kind: 'regression' }]);
  });

  it('calls bytes that were not there before a regression', () => {
    const before = report([variant('orbweaver', [sample(100, { storedBytes: 0 })])]);
    const after = report([variant('orbweaver', [sample(100, { storedBytes: 5 })])]);
    const { changes } = compareReports(before, after);
    expect(changes).toMatchObject([{ kind: 'regression', before: 0, after: 5 }]);
    expect(compareReports(after, before).changes).toMatchObject([{ kind: 'improvement' }]);
  });

  it('compares kernels by their medians', () => {
    const before = report([]);
    const slower = before.kernels.map((kernel) => ({ ...kernel, medianNs: kernel.medianNs * 2 }));
    const { changes } = compareReports(before, report([], { kernels: slower }));
    expect(changes[0]?.text).toBe('10.0 GB/s → 5.00 GB/s');
    expect(changes.map(({ name, ratio }) => [name, ratio])).toEqual([
      ['copy · simd', 2],
      ['copy · someone', 2],
    ]);
  });

  it('leaves out contenders that only one report has, and says when one fails now', () => {
    const before = report([variant('orbweaver', runs(100)), variant('left', runs(1))]);
    const after = report([
      variant('orbweaver', [], { failed: true, skipped: 'it ended with 1' }),
      variant('joined', runs(9999)),
    ]);
    const { changes, caveats } = compareReports(before, after);
    expect(changes).toEqual([]);
    expect(caveats).toEqual(['upload-something · orbweaver: fails now (it ended with 1)']);
  });

  it('does not compare inputs of other sizes, and says so', () => {
    const before = report([variant('orbweaver', runs(100))]);
    const [scenario] = before.scenarios;
    if (scenario === undefined) throw new Error('no scenario');
    const after = report([], {
      scenarios: [
        { ...scenario, inputBytes: 2_000_000, variants: [variant('orbweaver', runs(500))] },
      ],
    });
    const { changes, caveats } = compareReports(before, after);
    expect(changes).toEqual([]);
    expect(caveats.join()).toContain('upload-something: 1000000 bytes before and 2000000 now');
  });

  it('warns of another machine, another version of a peer, files on disk', () => {
    const before = report([variant('peer', runs(100), { version: '1.0' })]);
    const after = report([variant('peer', runs(100), { version: '2.0' })], {
      inMemory: false,
      machine: { ...before.machine, cpu: 'another', node: 'v24.0.0' },
    });
    const text = comparisonText(compareReports(before, after));
    expect(text).toContain('cpu was a processor and is another');
    expect(text).toContain('node was v20.0.0 and is v24.0.0');
    expect(text).toContain('version 1.0 before and 2.0 now');
    expect(text).toContain('only one of the reports had its files in memory');
  });
});
