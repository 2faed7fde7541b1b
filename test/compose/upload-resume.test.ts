import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClientUploadOptions, UploadResult } from '../../src/compose/client-types.js';
import type { UploadInput } from '../../src/compose/input.js';
import { listTransfers } from '../../src/compose/transfers.js';
import { runUpload, type UploadState } from '../../src/compose/upload.js';
import { OrbweaverError } from '../../src/errors.js';
import type { Kernels } from '../../src/kernels/index.js';
import { createThreadKernels } from '../../src/workers/index.js';
import { FakeCas } from '../client/upload/fake-cas.js';
import { MIB, random, sha256Of, withPool } from '../client/upload/support.js';

let kernels: Kernels;
let dir: string;
let number = 0;
beforeAll(async () => {
  kernels = await createThreadKernels();
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-upload-resume-'));
});
afterAll(() => rm(dir, { recursive: true }));

/** Cuts an upload off at a xorb, when those before it are acknowledged and written down. */
class CutCas extends FakeCas {
  cutAt = Number.POSITIVE_INFINITY;
  #waiting = 0;
  constructor(writtenBytes: () => Promise<number>) {
    super(kernels, {
      beforeXorb: async (at) => {
        if (at < this.cutAt) return;
        this.#waiting++;
        while (this.active > this.#waiting || (await writtenBytes()) < this.sentBytes) {
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        this.#waiting--;
        throw new OrbweaverError('NETWORK', 'cut off');
      },
    });
  }
  async hasXorb(xorb: { toString(): string }): Promise<boolean> {
    return this.xorbs.has(xorb.toString());
  }
}

describe('an upload that was cut off', () => {
  let cas: CutCas;
  let state: UploadState;
  let problems: OrbweaverError[];
  let path: string;
  const bytes = random(5, 12 * MIB);
  beforeEach(async () => {
    cas = new CutCas(writtenBytes);
    problems = [];
    number++;
    path = join(dir, `file-${number}`);
    await writeFile(path, bytes);
    const stateFolder = join(dir, `state-${number}`);
    state = { stateFolder, endpoint: 'https://a', onProblem: (error) => problems.push(error) };
  });

  /** What the journals of unfinished uploads say. */
  const writtenBytes = async (): Promise<number> =>
    (await listTransfers(state.stateFolder)).reduce(
      (sum, transfer) => sum + ('doneBytes' in transfer ? transfer.doneBytes : 0),
      0,
    );

  const upload = (
    inputs: readonly UploadInput[],
    options: ClientUploadOptions & { readonly state?: UploadState | null } = {},
  ): Promise<UploadResult> => {
    const { state: own = state, ...rest } = options;
    // Small memory, so that xorbs are small.
    return withPool({ maxMemory: 4 * MIB }, (pool) => {
      const parts = { cas, pool, cache: null, placement: 'balanced' as const, state: own };
      return runUpload(parts, inputs, rest);
    });
  };
  const cutOff = async (inputs: readonly UploadInput[], at = 3): Promise<OrbweaverError> => {
    cas.cutAt = cas.xorbPuts + at;
    const error = await upload(inputs).then(
      () => new Error('it was to fail'),
      (thrown: unknown) => thrown,
    );
    cas.cutAt = Number.POSITIVE_INFINITY;
    expect(error).toMatchObject({ code: 'NETWORK' });
    return error as OrbweaverError;
  };

  it('goes on when the same inputs come again, and leaves nothing behind', async () => {
    const { fields } = await cutOff([path]);
    const [listed] = await listTransfers(state.stateFolder);
    expect(listed).toMatchObject({
      ...{ kind: 'upload', id: fields['transferId'], endpoint: 'https://a', busy: false },
      ...{ path, paths: [path], pathCount: 1, sizeBytes: bytes.length, options: [] },
    });
    expect((listed as { doneBytes: number }).doneBytes).toBe(cas.sentBytes);
    const before = cas.sentBytes;
    expect(before).toBeGreaterThan(MIB);
    const { files, xorbBytes } = await upload([path]);
    expect(files[0]).toMatchObject({ sizeBytes: bytes.length });
    expect(xorbBytes + before).toBe(cas.sentBytes);
    expect(cas.storedBytes).toBe(bytes.length);
    expect(sha256Of(cas.rebuild(files[0]?.fileHash ?? ''))).toBe(sha256Of(bytes));
    expect(await listTransfers(state.stateFolder)).toEqual([]);
    expect((await readdir(state.stateFolder)).filter((name) => name !== 'files')).toEqual([]);
    expect(problems).toEqual([]);
  });

  it('may be cut off again and again', async () => {
    for (let round = 0; round < 3; round++) await cutOff([path], 2);
    expect(await listTransfers(state.stateFolder)).toHaveLength(1);
    await upload([path]);
    expect(cas.storedBytes).toBe(bytes.length);
  });

  it('is another one for other inputs, another endpoint, or without a state folder', async () => {
    await cutOff([path]);
    const other = `${path}-other`;
    await writeFile(other, random(6, MIB));
    await upload([other]);
    await upload([path], { state: { ...state, endpoint: 'https://b' } });
    await upload([path], { state: null });
    await upload([path], { dryRun: true });
    expect(await listTransfers(state.stateFolder)).toHaveLength(1);
  });

  it('goes on with the names of inputs that are no files, when the same bytes come', async () => {
    const input = (): UploadInput => ({ name: '-', data: new Blob([bytes]).stream() });
    await cutOff([input()]);
    const { files } = await upload([input()]);
    expect(files[0]).toMatchObject({
      path: '-',
      newBytes: bytes.length - (files[0]?.localBytes ?? 0),
    });
    expect(cas.storedBytes).toBe(bytes.length);
  });

  it('sends what the store has lost meanwhile', async () => {
    await cutOff([path]);
    const [lost] = cas.xorbs.keys();
    cas.xorbs.delete(lost ?? '');
    const { files } = await upload([path]);
    expect(sha256Of(cas.rebuild(files[0]?.fileHash ?? ''))).toBe(sha256Of(bytes));
    expect(cas.storedBytes).toBe(bytes.length);
  });

  it('goes on with what is left of a journal whose end was torn or damaged', async () => {
    for (const damage of ['torn', 'damaged', 'gone'] as const) {
      cas = new CutCas(writtenBytes);
      await cutOff([path]);
      const name = (await readdir(state.stateFolder)).find((each) => each.endsWith('.blocks'));
      const blocks = join(state.stateFolder, name ?? '');
      const whole = await readFile(blocks);
      if (damage === 'torn') await writeFile(blocks, whole.subarray(0, whole.length - 7));
      if (damage === 'gone') await rm(blocks);
      if (damage === 'damaged') {
        whole[40] = (whole[40] as number) ^ 1;
        await writeFile(blocks, whole);
      }
      const { files } = await upload([path]);
      expect(sha256Of(cas.rebuild(files[0]?.fileHash ?? ''))).toBe(sha256Of(bytes));
      expect(await listTransfers(state.stateFolder)).toEqual([]);
    }
    expect(problems).toEqual([]);
  });

  it('is done twice at once without harm', async () => {
    await cutOff([path]);
    const both = await Promise.all([upload([path]), upload([path])]);
    for (const { files } of both)
      expect(sha256Of(cas.rebuild(files[0]?.fileHash ?? ''))).toBe(sha256Of(bytes));
    expect(await listTransfers(state.stateFolder)).toEqual([]);
  });

  it('is forgotten after a week', async () => {
    await cutOff([path]);
    const weekAgo = new Date(Date.now() - 7 * 24 * 60 * 60 * 1000 - 60_000);
    for (const name of await readdir(state.stateFolder)) {
      if (name.includes('.')) await utimes(join(state.stateFolder, name), weekAgo, weekAgo);
    }
    const other = `${path}-other`;
    await writeFile(other, random(6, MIB));
    await upload([other]);
    expect(await listTransfers(state.stateFolder)).toEqual([]);
  });

  it('cannot be remembered where the folder cannot be written, which is said once', async () => {
    await writeFile(join(dir, 'a-file'), '');
    for (const stateFolder of [join(dir, 'a-file', 'state'), '/proc/none/state']) {
      problems = [];
      await upload([path], { state: { ...state, stateFolder } });
      expect(problems).toHaveLength(1);
      expect(problems[0]?.code).toMatch(/OUTPUT_UNWRITABLE|STORAGE_FAILED/);
      expect(problems[0]?.message).toContain(stateFolder.split('/').at(-2));
    }
  });

  it('goes on without its journal when the disk gets full or the folder goes', async () => {
    let puts = 0;
    const { putXorb } = cas;
    cas.putXorb = async (...args: Parameters<typeof putXorb>) => {
      // What is written next has no place to go to.
      if (puts++ === 2) {
        // Something may be written into it at the same time.
        await rm(state.stateFolder, { recursive: true, force: true }).catch(() => undefined);
      }
      return putXorb.apply(cas, args);
    };
    const { files } = await upload([path]);
    expect(sha256Of(cas.rebuild(files[0]?.fileHash ?? ''))).toBe(sha256Of(bytes));
  });

  it('never writes down what a URL or a token holds', async () => {
    await mkdir(state.stateFolder, { mode: 0o700 });
    await chmod(state.stateFolder, 0o700);
    await cutOff([path]);
    const names = await readdir(state.stateFolder);
    const text = (
      await Promise.all(
        names
          .filter((name) => name.endsWith('.ndjson'))
          .map((name) => readFile(join(state.stateFolder, name), 'utf8')),
      )
    ).join('');
    expect(Object.keys(JSON.parse(text.split('\n')[0] ?? '')).sort()).toEqual(
      ['endpoint', 'key', 'kind', 'options', 'pathCount', 'paths', 'sizeBytes', 'type'].sort(),
    );
  });
});
