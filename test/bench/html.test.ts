import { describe, expect, it } from 'vitest';
import { compareReports, htmlReport } from '../../src/bench/index.js';
import { report, sample, variant } from './sample-report.js';

const VOID = new Set(['meta', 'br', 'hr', 'img', 'input', 'link']);

/** Names of elements in order, after checking that all are closed where they must be. */
function elementsOf(html: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  const withoutStyle = html.replace(/<style>[^<]*<\/style>/, '<style></style>');
  // Every `<` begins a tag: a text that slipped through unescaped would not match.
  const tags = withoutStyle.match(/<[^>]*>?/g) ?? [];
  for (const tag of tags) {
    const match =
      /^<(?:!doctype html|\/([a-z0-9]+)|([a-z0-9]+)((?: [a-zA-Z-]+="[^"<>]*")*)(\/?))>$/.exec(tag);
    if (match === null) throw new Error(`not a tag: ${tag}`);
    const [, closing, opening, , selfClosing] = match;
    if (closing !== undefined) expect(open.pop()).toBe(closing);
    else if (opening !== undefined) {
      seen.push(opening);
      if (selfClosing !== '/' && !VOID.has(opening)) open.push(opening);
    }
  }
  expect(open).toEqual([]);
  return seen;
}

const HOSTILE = `<script>alert(1)</script>"'&<img src=x onerror=alert(2)>\u0000\u001b[31m`;

describe('the HTML report', () => {
  const plain = report([
    variant('orbweaver', [sample(100), sample(120), sample(110)]),
    variant('peer', [sample(200), sample(210), sample(190)], { version: '1.2.3' }),
    variant('absent', [], { skipped: 'not installed' }),
    variant('broken', [], { skipped: 'it ended with 1', failed: true }),
  ]);

  it('is one well-formed page with a plot per figure', () => {
    const html = htmlReport(plain);
    const elements = elementsOf(html);
    expect(elements.slice(0, 3)).toEqual(['html', 'head', 'meta']);
    // Eight figures of one scenario, one kernel.
    expect(elements.filter((name) => name === 'svg')).toHaveLength(9);
    expect(elements).not.toContain('script');
    expect(html).toContain('peer 1.2.3');
    expect(html).toContain('absent skipped: not installed');
    expect(html).toContain('broken failed: it ended with 1');
    expect(html).toContain('new: 781 KiB');
  });

  it('names nothing outside of itself', () => {
    const html = htmlReport(plain, { comparison: compareReports(plain, plain) });
    expect(html).not.toMatch(/https?:|\/\/|url\(|@import|src=|href=/i);
  });

  it('follows the preference for light or dark', () => {
    expect(htmlReport(plain)).toContain('@media (prefers-color-scheme: dark)');
  });

  it('escapes every text of a report', () => {
    const hostile = report(
      [
        variant(HOSTILE, [sample(1)], { version: HOSTILE }),
        variant(HOSTILE, [], { skipped: HOSTILE, failed: true }),
      ],
      {
        startedAt: HOSTILE,
        machine: {
          cpu: HOSTILE,
          cores: 1,
          memoryBytes: 1,
          platform: HOSTILE,
          node: HOSTILE,
          orbweaver: HOSTILE,
        },
        kernels: [{ name: HOSTILE, variant: HOSTILE, bytesPerCall: 1, medianNs: 1, noise: 0 }],
      },
    );
    const [scenario] = hostile.scenarios;
    if (scenario === undefined) throw new Error('no scenario');
    const scenarios = [{ ...scenario, name: HOSTILE, question: HOSTILE }];
    const comparison = {
      changes: [
        {
          name: HOSTILE,
          before: 1,
          after: 2,
          ratio: 2,
          threshold: 1.1,
          kind: 'regression' as const,
          text: HOSTILE,
        },
      ],
      comparedCount: 1,
      caveats: [HOSTILE],
    };
    const html = htmlReport({ ...hostile, scenarios }, { comparison });
    const elements = elementsOf(html);
    expect(elements).not.toContain('script');
    expect(elements).not.toContain('img');
    expect(html).not.toContain('\u0000');
    expect(html).not.toContain('\u001b');
    expect(html).toContain('&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;');
  });

  it('draws reports in which nothing ran or nothing could be measured', () => {
    elementsOf(htmlReport(report([], { scenarios: [], kernels: [] })));
    const zero = { cpuMs: 0, peakBytes: 0, wireUpBytes: 0, requests: 0, storedBytes: 0 };
    const html = htmlReport(report([variant('orbweaver', [sample(0, zero)])]));
    elementsOf(html);
    expect(html).not.toMatch(/NaN|Infinity/);
  });
});
