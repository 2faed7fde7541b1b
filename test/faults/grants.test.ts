import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crc64 } from '../../src/compose/crc64.js';
import { generate } from '../support/generators.js';
import { checkSecrets, createStage, type Stage } from './run-row.js';
import { SENT } from './table.js';
import { createWorld } from './world.js';

/** The faults of what is sent, at the three requests of an upload grant. */

let stage: Stage;
let nextSeed = 1_000;
beforeAll(async () => {
  stage = await createStage();
});
afterAll(() => stage.close());

const KINDS = ['grant', 'put', 'commit'] as const;
/** A commit sends nothing that could be cut in the middle, or not be read. */
const ofBodies = (what: string): boolean => what.includes('body that is sent');
const ROWS = KINDS.flatMap((at) =>
  SENT.filter(([what]) => at !== 'commit' || !ofBodies(what)).map(
    ([what, fault, waits = false]) => ({ name: `${at}: ${what}`, at, what, fault, waits }),
  ),
);

/** The one thing that is final: the server has looked at the bytes. */
const isFinal = (row: (typeof ROWS)[number]): boolean => row.at === 'commit' && row.what === '400';
/** Of these a single one costs no repetition: a POST is the next thing. Others are tried again. */
const HOPELESS = /^(50[07]|400|401|403|404|409|413|a redirect|a response)/;

describe.each([
  { often: 'once', times: 1 },
  { often: 'without end', times: Number.POSITIVE_INFINITY },
])('$often', ({ times }) => {
  it.each(ROWS)('$name', async (row) => {
    const { at, what, fault, waits } = row;
    const { pool, gateway, shorterHash } = stage;
    const world = await createWorld({
      ...{ pool, gateway, at, fault, times, waits, shorterHash },
      cas: { grants: 'always', crc64 },
    });
    try {
      const file = generate({ kind: 'splitmix64', seed: nextSeed++, bytes: 200_000 });
      const error = await world.upload(file).then(
        async (stored) => {
          expect(Buffer.compare(await world.stored(stored), file)).toBe(0);
          return null;
        },
        (failure: unknown) => failure,
      );
      if (isFinal(row)) {
        expect(error).toMatchObject({ code: 'REJECTED', fields: { status: 400 } });
      } else expect(error).toBeNull();
      const posts = world.proxy.count('xorb');
      // It has come another way, or in the end by this one; never by both.
      expect(posts).toBeLessThanOrEqual(1);
      if (times === 1 && !HOPELESS.test(what) && !/^no(body| response)/.test(what))
        expect(posts).toBe(0);
      // Three grants, four times the bytes each, seven commits.
      expect(world.proxy.count('grant')).toBeLessThanOrEqual(3);
      expect(world.proxy.count('put')).toBeLessThanOrEqual(12);
      expect(world.proxy.count('commit')).toBeLessThanOrEqual(7);
      checkSecrets(world, error);
      expect(pool.freeSlabs).toBe(pool.slabCount);
    } finally {
      await world.close();
    }
  });
});
