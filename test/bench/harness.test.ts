import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Contender } from '../../src/bench/contenders.js';
import { listScenarios, runBench, type Sample, type Scenario } from '../../src/bench/index.js';
import { findPackage } from '../../src/bench/peer-packages.js';
import { SCENARIOS, selectScenarios } from '../../src/bench/scenarios.js';
import { folderBytes, isCopyOf, linkTree } from '../../src/bench/work-folder.js';
import { sample } from './sample-report.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-harness-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A contender that exists in this test only. */
const fake = (name: string): Contender => ({
  name,
  version: null,
  missing: null,
  abilities: ['upload'],
  command: () => ({ command: 'false', args: [] }),
});

/** A scenario of three contenders that notes who ran. */
function fakeScenario(ran: string[], run: (name: string) => Promise<Sample>): Scenario {
  return {
    name: 'fake',
    question: 'Who is next?',
    abilities: ['upload'],
    folderInputs: 1,
    contenders: () => ['a', 'b', 'c'].map(fake),
    open: async (context) => {
      const close = async (): Promise<void> => void ran.push('closed');
      await context.closing(Promise.resolve({ close }));
      return {
        inputBytes: 5,
        newData: null,
        run: async ({ name }) => {
          ran.push(name);
          return run(name);
        },
      };
    },
  };
}

describe('a run of the harness', () => {
  it('lets contenders take turns and reverses the order each round', async () => {
    const ran: string[] = [];
    const scenario = fakeScenario(ran, async () => sample(10));
    const report = await runBench({ scenarios: [scenario], rounds: 3, peers: [] });
    expect(ran.join('')).toBe('abccbaabcclosed');
    expect(report.scenarios).toHaveLength(1);
    expect(report.scenarios[0]).toMatchObject({ name: 'fake', inputBytes: 5 });
    expect(report.scenarios[0]?.variants.map((one) => one.samples.length)).toEqual([3, 3, 3]);
    expect(report.kernels).toEqual([]);
  });

  it('goes on without a contender that fails, and says why', async () => {
    const ran: string[] = [];
    const scenario = fakeScenario(ran, async (name) => {
      if (name === 'b') throw new Error('it broke');
      return sample(10);
    });
    const report = await runBench({ scenarios: [scenario], rounds: 2, peers: [] });
    expect(ran.join('')).toBe('abccaclosed');
    expect(report.scenarios[0]?.variants[1]).toMatchObject({
      name: 'b',
      failed: true,
      skipped: 'it broke',
      samples: [],
    });
  });

  it('reports a scenario that cannot be prepared and goes on with the next', async () => {
    const scenario = fakeScenario([], async () => sample(10));
    const broken: Scenario = {
      ...scenario,
      name: 'broken',
      open: async () => {
        throw new Error('no input');
      },
    };
    const report = await runBench({ scenarios: [broken, scenario], rounds: 1, peers: [] });
    expect(report.scenarios[0]?.variants[0]).toMatchObject({
      failed: true,
      skipped: 'could not be prepared: no input',
    });
    expect(report.scenarios[1]?.variants[0]?.samples).toHaveLength(1);
  });

  it('ends at once when it is cancelled, and closes what it opened', async () => {
    const ran: string[] = [];
    const cancel = new AbortController();
    const scenario = fakeScenario(ran, async () => {
      cancel.abort(new Error('enough'));
      throw new Error('killed');
    });
    const run = runBench({ scenarios: [scenario], rounds: 2, peers: [], signal: cancel.signal });
    await expect(run).rejects.toThrow('enough');
    expect(ran.join(' ')).toBe('a closed');
  });

  it('leaves nothing behind', async () => {
    let place = '';
    const scenario: Scenario = {
      ...fakeScenario([], async () => sample(1)),
      open: async (context) => {
        place = context.freshPath('left');
        await mkdir(place);
        throw new Error('it broke');
      },
    };
    await runBench({ scenarios: [scenario], rounds: 1, peers: [] });
    await expect(readdir(dirname(place))).rejects.toThrow('ENOENT');
  });

  it('reports peers that are not there with the reason', async () => {
    const scenario: Scenario = {
      ...fakeScenario([], async () => sample(1)),
      contenders: ({ orbweaver, peers }) => [orbweaver, ...peers],
    };
    const report = await runBench({
      scenarios: [scenario],
      rounds: 1,
      peers: ['hf_xet'],
      python: join(folder, 'no-python'),
    });
    const variants = report.scenarios[0]?.variants ?? [];
    expect(variants.map((one) => one.name)).toEqual(['orbweaver', 'hf_xet']);
    expect(variants[1]?.failed).toBe(false);
    expect(variants[1]?.skipped).toContain('cannot import hf_xet');
  });

  it('refuses unknown scenarios and peers, and numbers that make no sense', async () => {
    await expect(runBench({ scenarios: ['uplaod'] })).rejects.toThrow(/upload-random.*got uplaod/);
    await expect(runBench({ scenarios: ['upload'], peers: ['nobody'] })).rejects.toThrow(
      /"peers" expected some of hf_xet.*got nobody/,
    );
    await expect(runBench({ rounds: 0 })).rejects.toThrow('"rounds" expected 1 or more, got 0');
    await expect(runBench({ sizeBytes: 10 })).rejects.toThrow('"sizeBytes" expected 1048576');
    await expect(runBench({ scenarios: ['file-upload'] })).rejects.toThrow('got file-upload');
    const server = { endpoint: 'http://127.0.0.1:1', token: 't' };
    await expect(runBench({ server })).rejects.toThrow('"files" expected at least one');
  });
});

describe('the list of scenarios', () => {
  it('has a name of its own and a question for each', () => {
    const all = listScenarios();
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
    for (const { name, question } of all) {
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
      expect(question).toMatch(/^[^\n]+\.$/);
    }
  });

  it('is chosen from by name or by first word, in its own order', () => {
    const names = (wanted: readonly string[]): string[] =>
      selectScenarios(wanted, SCENARIOS).chosen.map((scenario) => scenario.name);
    expect(names(['read', 'upload-text'])).toEqual([
      'upload-text',
      'read-rows',
      'read-inserts',
      'read-release',
    ]);
    expect(names([])).toHaveLength(SCENARIOS.length);
    expect(selectScenarios(['up', 'upload-text'], SCENARIOS).unknown).toEqual(['up']);
  });
});

describe('the loop with statistics', () => {
  it('is loaded by who times kernels, when it does', async () => {
    const src = join(import.meta.dirname, '../../src');
    const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const naming: string[] = [];
    for (const name of files) {
      const text = await readFile(join(src, name), 'utf8');
      if (text.includes("'tinybench'")) naming.push(name);
      expect(text, name).not.toMatch(/from 'tinybench'/);
    }
    expect(naming).toEqual([join('bench', 'kernel-bench.ts')]);
  });
});

describe('the work folder', () => {
  it('copies a store by links that go their own ways', async () => {
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    await mkdir(join(from, 'deep'), { recursive: true });
    await writeFile(join(from, 'deep', 'a'), 'abc');
    await writeFile(join(from, 'b'), 'de');
    await linkTree(from, to);
    expect(await folderBytes(to)).toBe(5);
    await rm(join(to, 'b'));
    await writeFile(join(to, 'c'), 'f');
    expect(await readdir(from)).toEqual(['b', 'deep']);
    expect(await readFile(join(to, 'deep', 'a'), 'utf8')).toBe('abc');
  });

  it('compares a copy with a range of the original, byte for byte', async () => {
    const bytes = Buffer.alloc(9_000_000, 7);
    const [path, copy] = [join(folder, 'original'), join(folder, 'copy')];
    await writeFile(path, bytes);
    await writeFile(copy, bytes.subarray(5));
    const original = { path, start: 5, end: bytes.length };
    expect(await isCopyOf(copy, original)).toBe(true);
    expect(await isCopyOf(copy, { ...original, start: 4 })).toBe(false);
    for (const at of [0, 4_194_304, bytes.length - 6]) {
      const changed = Buffer.from(bytes.subarray(5));
      changed[at] = 8;
      await writeFile(copy, changed);
      expect(await isCopyOf(copy, original), `byte ${at}`).toBe(false);
    }
  });
});

describe('peer packages', () => {
  const install = async (name: string, manifest: object): Promise<void> => {
    const home = join(folder, 'node_modules', name);
    await mkdir(home, { recursive: true });
    await writeFile(join(home, 'package.json'), JSON.stringify(manifest));
  };

  it('are found with their version and the file that import takes', async () => {
    await install('@some/peer', {
      version: '1.2.3',
      main: './old.js',
      exports: {
        '.': { require: './old.cjs', import: { types: './x.d.ts', default: './new.mjs' } },
      },
    });
    expect(await findPackage('@some/peer', folder)).toEqual({
      entry: join(folder, 'node_modules', '@some/peer', 'new.mjs'),
      version: '1.2.3',
    });
    await install('plain', { version: '2.0.0', main: './main.js' });
    expect((await findPackage('plain', folder))?.entry).toMatch(/main\.js$/);
    await install('sugar', { version: '3.0.0', exports: './only.js' });
    expect((await findPackage('sugar', folder))?.entry).toMatch(/only\.js$/);
  });

  it('are null when they are nowhere', async () => {
    expect(await findPackage('@some/package-that-nobody-has', folder)).toBeNull();
  });
});
