import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BenchReport, parseReport } from '../../src/bench/index.js';
import { startGateway } from '../../src/gateway.js';
import { orbweaver } from '../cli/run-binary.js';

const SIZE_BYTES = 2 * 1024 * 1024;

describe('orbweaver bench', () => {
  let folder: string;
  let report: BenchReport;
  const at = (name: string): string => join(folder, name);
  const quick = ['--size', '2MiB', '--rounds', '1', '--peers', 'none', '--workers', '1'];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-smoke-'));
    const run = await orbweaver([
      'bench',
      'upload-random',
      'download-random',
      ...quick,
      '--out',
      at('report.json'),
      '--html',
      at('report.html'),
    ]);
    expect(run.stderr).toContain('round 1  orbweaver');
    expect(run.status).toBe(0);
    expect(run.stdout.toString()).toContain('upload-random · 2.0 MiB');
    report = parseReport(await readFile(at('report.json'), 'utf8'));
  }, 240_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('measures an upload to the sink from the outside', () => {
    const [upload] = report.scenarios;
    expect(upload).toMatchObject({ name: 'upload-random', inputBytes: SIZE_BYTES });
    expect(upload?.variants.map((variant) => variant.name)).toEqual(['orbweaver']);
    const [sample] = upload?.variants[0]?.samples ?? [];
    if (sample === undefined) throw new Error('no sample');
    expect(sample.wallMs).toBeGreaterThan(0);
    expect(sample.cpuMs).toBeGreaterThan(0);
    expect(sample.peakBytes).toBeGreaterThan(20 << 20);
    expect(sample.requests).toBeGreaterThanOrEqual(2);
    // Random bytes do not compress: all of them travel, and little else.
    for (const bytes of [sample.wireUpBytes, sample.storedBytes]) {
      expect(bytes).toBeGreaterThan(SIZE_BYTES);
      expect(bytes).toBeLessThan(1.05 * SIZE_BYTES);
    }
  });

  it('measures a download from the gateway and compares every byte', () => {
    const [sample] = report.scenarios[1]?.variants[0]?.samples ?? [];
    expect(report.scenarios[1]?.name).toBe('download-random');
    expect(sample?.wireDownBytes).toBeGreaterThan(SIZE_BYTES);
    expect(sample?.wireUpBytes).toBeLessThan(10_000);
  });

  it('draws a page', async () => {
    const html = await readFile(at('report.html'), 'utf8');
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).toContain('download-random');
  });

  it('exits with 10 when a figure got worse than in an older report', async () => {
    const older = structuredClone(report) as unknown as {
      scenarios: [{ variants: [{ samples: object[] }] }];
    };
    const samples = older.scenarios[0].variants[0].samples;
    older.scenarios[0].variants[0].samples = samples.map((sample) => ({ ...sample, wallMs: 1 }));
    await writeFile(at('older.json'), JSON.stringify(older));
    const run = await orbweaver([
      'bench',
      'upload-random',
      ...quick,
      '--compare',
      at('older.json'),
      '--fail-on-regression',
      '--json',
    ]);
    expect(run.status).toBe(10);
    const { comparison, scenarios } = run.json() as {
      comparison: { changes: { name: string; kind: string }[] };
      scenarios: unknown[];
    };
    expect(scenarios).toHaveLength(1);
    expect(comparison.changes).toContainEqual(
      expect.objectContaining({
        name: 'upload-random · orbweaver · wall time',
        kind: 'regression',
      }),
    );
  }, 240_000);

  it('takes a file of the user', async () => {
    await writeFile(at('own.bin'), Buffer.alloc(300_000, 'orbweaver'));
    const run = await orbweaver(['bench', at('own.bin'), ...quick, '--json']);
    expect(run.status).toBe(0);
    const { scenarios } = run.json() as unknown as BenchReport;
    expect(scenarios.map(({ name, inputBytes }) => [name, inputBytes])).toEqual([
      ['file-chunk', 300_000],
      ['file-upload', 300_000],
      ['file-download', 300_000],
    ]);
  }, 240_000);

  it('takes a server of the user, which gets fresh copies and gives files back', async () => {
    await writeFile(at('own.bin'), Buffer.alloc(300_000, 'orbweaver'));
    const gateway = await startGateway({ data: at('store'), port: 0, token: 'secret', workers: 0 });
    try {
      const server = ['--endpoint', gateway.url, '--token', 'secret'];
      const run = await orbweaver(['bench', at('own.bin'), ...server, ...quick, '--json']);
      expect(run.status).toBe(0);
      const { scenarios, server: measured } = run.json() as unknown as BenchReport;
      expect(measured).toBe(gateway.url);
      expect(scenarios.map(({ name, inputBytes }) => [name, inputBytes])).toEqual([
        ['server-chunk', 300_000],
        ['server-upload', 300_000],
        ['server-again', 300_000],
        ['server-download', 300_000],
        ['server-range', 18_750],
      ]);
      for (const { variants } of scenarios) expect(variants[0]?.samples).toHaveLength(1);
    } finally {
      await gateway.close();
    }
  }, 240_000);

  const openssl = spawnSync('openssl', ['version']).status === 0;
  // Node does not write certificates.
  it.skipIf(!openssl)(
    'measures over TLS and over a link with a delay',
    async () => {
      const run = await orbweaver(['bench', 'tls', 'far', ...quick, '--json']);
      expect(run.status).toBe(0);
      const { scenarios } = run.json() as unknown as BenchReport;
      expect(scenarios.map(({ name }) => name)).toEqual([
        'tls-upload',
        'tls-download',
        'far-upload',
        'far-download',
      ]);
      for (const { name, variants } of scenarios) {
        const [sample] = variants[0]?.samples ?? [];
        const moved = (sample?.wireUpBytes ?? 0) + (sample?.wireDownBytes ?? 0);
        expect(moved, name).toBeGreaterThan(SIZE_BYTES);
        // Counted once, not again by what lies between.
        expect(moved, name).toBeLessThan(1.1 * SIZE_BYTES);
      }
    },
    240_000,
  );

  it('lists its scenarios, peers and where exit codes are in its help', async () => {
    const help = (await orbweaver(['bench', '--help'])).stdout.toString();
    expect(help).toContain('Usage: orbweaver bench [SCENARIO...]');
    expect(help).toContain('gateway-rows');
    expect(help).toContain('@huggingface/hub');
    expect(help).toMatch(/^Exit codes: /m);
  });

  it('finds what is wrong with a command line before it measures', async () => {
    const wrong = async (...args: readonly string[]): Promise<[number | null, unknown]> => {
      const run = await orbweaver(['bench', ...args, '--json']);
      return [run.status, run.errorJson()['code']];
    };
    expect(await wrong('uplaod')).toEqual([3, 'INPUT_NOT_FOUND']);
    expect(await wrong('--endpoint', 'http://127.0.0.1:1', '--token', 't')).toEqual([2, 'USAGE']);
    expect(await wrong(at('report.json'), '--endpoint', '127.0.0.1:1')).toEqual([2, 'USAGE']);
    expect(await wrong(at('report.json'), '--token', 't')).toEqual([2, 'USAGE']);
    expect(await wrong('--rounds', '0')).toEqual([2, 'USAGE']);
    expect(await wrong('--size', '10')).toEqual([2, 'USAGE']);
    expect(await wrong('--peers', 'nobody')).toEqual([2, 'USAGE']);
    expect(await wrong('--fail-on-regression')).toEqual([2, 'USAGE']);
    expect(await wrong('--pair', 'one')).toEqual([2, 'USAGE']);
    expect(await wrong('--pair', at('a'), at('b'))).toEqual([3, 'INPUT_NOT_FOUND']);
    expect(await wrong('--file', at('missing'))).toEqual([3, 'INPUT_NOT_FOUND']);
    expect(await wrong('--compare', at('report.html'))).toEqual([6, 'FORMAT_INVALID']);
  }, 240_000);
});
