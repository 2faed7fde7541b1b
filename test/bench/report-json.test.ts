import { describe, expect, it } from 'vitest';
import { parseReport } from '../../src/bench/index.js';
import { report, sample, variant } from './sample-report.js';

const whole = report([
  variant('orbweaver', [sample(1), sample(2)]),
  variant('peer', [], { skipped: 'not installed' }),
]);

describe('the JSON form of a report', () => {
  it('comes back as it was written', () => {
    expect(parseReport(JSON.stringify(whole))).toEqual(whole);
  });

  it('refuses text that is no JSON, and other versions', () => {
    expect(() => parseReport('{')).toThrow(SyntaxError);
    expect(() => parseReport('[]')).toThrow('"report" expected an object, got a list');
    expect(() => parseReport(JSON.stringify({ ...whole, version: 2 }))).toThrow(
      '"version" expected 1, got 2',
    );
  });

  it('names the field when any one is missing or has another type', () => {
    const paths = pathsOf(whole);
    expect(paths.length).toBeGreaterThan(50);
    for (const path of paths) {
      const original = valueAt(whole, path);
      for (const wrong of [undefined, { another: 1 }, [1], true]) {
        if (typeof wrong === typeof original) continue;
        const broken = structuredClone(whole) as unknown;
        const parent = valueAt(broken, path.slice(0, -1)) as Record<string, unknown>;
        parent[path[path.length - 1] as string] = wrong;
        expect(() => parseReport(JSON.stringify(broken)), path.join('.')).toThrow(/expected/);
      }
    }
  });
});

/** Ways to every field of an object, elements of lists included. */
function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => [
    [...path, key],
    ...pathsOf(child, [...path, key]),
  ]);
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce((at, key) => (at as Record<string, unknown>)[key], value);
}
