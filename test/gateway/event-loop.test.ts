import { describe, expect, it } from 'vitest';
import { ENTRIES_PER_STEP } from '../../src/bytes/index.js';
import { loadKernels } from '../../src/compose/chunk.js';
import { createOneByOne } from '../../src/gateway/turns.js';
import type { Hasher } from '../../src/hash/ports.js';
import { encodeShardInSteps, type ShardFile, type ShardTerm } from '../../src/shard/index.js';
import {
  buildXorb,
  bytesOf,
  createRig,
  fileOf,
  listed,
  publish,
  putXorb,
  type Rig,
  randomChunks,
  term,
  uploadShard,
} from './support/rig.js';

/**
 * One request does not keep the others waiting: what is worked on between two turns of the event loop is
 * counted (hashes, records, bytes of a response), not timed. `bench/event-loop.mjs` has the milliseconds.
 */

/** A rig whose hashes are counted. */
function countingRig(): { rig: Rig; hashes: () => number } {
  let count = 0;
  const counting: Hasher = {
    keyed(...args) {
      count++;
      hasher.keyed(...args);
    },
    keyedMany(...args) {
      count += args[4];
      hasher.keyedMany(...args);
    },
  };
  return { rig: createRig({ hasher: counting }), hashes: () => count };
}

/** Runs `work`; says how many turns the loop had, and the most that `count` grew in one. */
async function watched<Result>(
  work: () => Promise<Result>,
  count: () => number = () => 0,
): Promise<{ result: Result; turns: number; most: number }> {
  let turns = 0;
  let most = 0;
  let before = count();
  let isOver = false;
  const turn = (): void => {
    turns++;
    most = Math.max(most, count() - before);
    before = count();
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  try {
    return { result: await work(), turns, most: Math.max(most, count() - before) };
  } finally {
    isOver = true;
  }
}

const { hasher } = await loadKernels();
const xorb = buildXorb(randomChunks(1, new Array(200).fill(20)));
const COUNT = 2 * ENTRIES_PER_STEP;

/** Files of one run of chunks each, all different. */
const files: ShardFile[] = [];
for (let length = 1; files.length < COUNT; length++) {
  for (let start = 0; start + length <= 200 && files.length < COUNT; start++) {
    files.push(fileOf([[xorb, start, start + length]]));
  }
}
const long = fileOf(
  Array.from({ length: 3 * ENTRIES_PER_STEP }, (_, i) => [xorb, i % 199, (i % 199) + 1] as const),
);

describe('others have their turn', () => {
  it('while a shard of many files is read, checked and registered', async () => {
    const { rig, hashes } = countingRig();
    await putXorb(rig, xorb);
    const body = uploadShard({ files, xorbs: [listed(xorb)] });
    const { result, turns, most } = await watched(
      () => rig.send('POST', '/v1/shards', { body }),
      hashes,
    );
    expect(result.status).toBe(200);
    // Read, checked, sorted, encoded, registered and listed: each in steps.
    expect(turns).toBeGreaterThan((6 * COUNT) / ENTRIES_PER_STEP);
    expect(hashes()).toBeGreaterThan(4 * COUNT);
    // Checking a file is a hash of its range, and those of its tree.
    expect(most).toBeLessThan(6 * ENTRIES_PER_STEP);
  });

  it('while a file of many terms is registered, and registered again', async () => {
    const { rig } = countingRig();
    await putXorb(rig, xorb);
    const body = uploadShard({ files: [long], xorbs: [listed(xorb)] });
    for (const result of [1, 0]) {
      const { result: response, turns } = await watched(() =>
        rig.send('POST', '/v1/shards', { body }),
      );
      expect(await response.json()).toMatchObject({ result });
      expect(turns).toBeGreaterThan((4 * long.terms.length) / ENTRIES_PER_STEP);
    }
  });

  it('while a long reconstruction and long lists of hashes are made and written', async () => {
    const { rig } = countingRig();
    await publish(rig, [xorb], [long]);
    for (const [path, headers] of [
      [`/v2/reconstructions/${long.hash}`, {}],
      [`/v1/reconstructions/${long.hash}?chunk_byte_sizes=true`, {}],
      [`/v2/file-chunk-hashes/${long.hash}`, { 'x-range-dirty': 'bytes=0-100' }],
    ] as const) {
      const pieces: number[] = [];
      const { turns } = await watched(async () => {
        const response = await rig.send('GET', path, { headers });
        expect(response.status).toBe(200);
        for await (const piece of response.body ?? []) pieces.push(piece.length);
      });
      expect(Math.max(...pieces), path).toBeLessThan(192 * 1024);
      expect(turns, path).toBeGreaterThanOrEqual(long.terms.length / ENTRIES_PER_STEP);
    }
  });

  it('while a batch of a thousand files is looked up', async () => {
    const { rig } = countingRig();
    await publish(rig, [xorb], files.slice(0, 1000));
    const ids = files.slice(0, 1000).map(({ hash }) => ({ prefix: 'default', hash: `${hash}` }));
    const { result, turns } = await watched(() =>
      rig.send('POST', '/v1/reconstructions', { body: JSON.stringify(ids) }),
    );
    const answer = JSON.parse(new TextDecoder().decode(await bytesOf(result)));
    expect(Object.keys(answer.files)).toHaveLength(1000);
    expect(turns).toBeGreaterThan(20);
  });
});

it('a shard is written in steps of some thousand records, however its files are cut', () => {
  let read = 0;
  const counted = (list: readonly ShardTerm[]): readonly ShardTerm[] =>
    new Proxy(list, {
      get(target, name, receiver) {
        if (typeof name === 'string' && /^\d+$/.test(name)) read++;
        return Reflect.get(target, name, receiver);
      },
    });
  const terms = (count: number): ShardTerm[] =>
    Array.from({ length: count }, () => term(xorb, 0, 1));
  for (const list of [
    [{ ...long, terms: counted(terms(COUNT)), verification: null }],
    files.map((file) => ({ ...file, terms: counted(file.terms) })),
  ]) {
    const steps = encodeShardInSteps(
      { files: list, xorbs: [listed(xorb)], footer: null },
      { variant: 'stored' },
    );
    let longest = 0;
    for (let done = false; !done; ) {
      const before = read;
      done = steps.next().done === true;
      longest = Math.max(longest, read - before);
    }
    expect(longest).toBeLessThan(2 * ENTRIES_PER_STEP + 10);
  }
});

it('of many that wait for a turn of their own, one goes on in each', async () => {
  const oneByOne = createOneByOne();
  let done = 0;
  const { most, turns } = await watched(
    () =>
      Promise.all(
        Array.from({ length: 50 }, async () => {
          await oneByOne();
          done++;
        }),
      ),
    () => done,
  );
  expect(done).toBe(50);
  expect(most).toBeLessThanOrEqual(2);
  expect(turns).toBeGreaterThanOrEqual(25);
});
