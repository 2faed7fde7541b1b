import { describe, expect, it } from 'vitest';
import { textReport } from '../../src/bench/index.js';
import { report, sample, variant } from './sample-report.js';

describe('the report for a terminal', () => {
  const text = textReport(
    report([
      variant('orbweaver', [sample(100), sample(200), sample(300)]),
      variant('peer', [sample(200), sample(400), sample(600)], { version: '1.2.3' }),
      variant('peer, in another way', [sample(200)], { version: '1.2.3' }),
      variant('absent', [], { skipped: 'not installed' }),
      variant('broken', [sample(1)], { skipped: 'it ended with 1', failed: true }),
    ]),
  );

  it('has a line per contender with medians and paired ratios', () => {
    const ours = text.split('\n').find((line) => line.startsWith('  orbweaver'));
    const peer = text.split('\n').find((line) => line.startsWith('  peer 1.2.3'));
    expect(ours).toMatch(/0\.200 s +0\.300 s +100 MiB .* ×1\.00 +±25\.0 % +1\.50$/);
    expect(peer).toMatch(/0\.400 s +0\.600 s +100 MiB .* ×2\.00 /);
  });

  it('puts the version of a peer behind its name, and knows no noise of one run', () => {
    expect(text).toMatch(/^ {2}peer 1\.2\.3, in another way .* – +1\.50$/m);
  });

  it('says who was skipped and who failed, and why', () => {
    expect(text).toContain('absent: skipped: not installed');
    expect(text).toContain('broken: failed: it ended with 1');
  });

  it('names the machine, the versions and what is new at the level of chunks', () => {
    expect(text).toContain('a processor × 2, 8.0 GiB, linux x64');
    expect(text).toContain('orbweaver 1.0.0, Node v20.0.0, files in memory, medians of 3');
    const served = report([], { server: 'https://cas.example.com' });
    expect(textReport(served)).toContain(
      'files in memory, server https://cas.example.com, medians',
    );
    expect(text).toContain('new at chunk level: 10 chunks, 879 KiB, packed 781 KiB');
    expect(text).toContain('10.0 GB/s');
  });
});
