import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import { createStage, type Stage } from './run-row.js';
import { type Outcome, TABLE } from './table.js';
import { createWorld } from './world.js';

/**
 * Every fault of the network and of servers in one table (`table.ts`), over real sockets, with and
 * without TLS, for the first request of its kind and for all of them.
 */

let stage: Stage;
beforeAll(async () => {
  stage = await createStage();
});
afterAll(() => stage.close());

describe('once', () => {
  it.each(TABLE.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await stage.run(row, { expected: row.once });
  });
});

describe('once, over TLS', () => {
  // Each fault at one of its places: what TLS changes is the connection.
  const rows = TABLE.filter(({ fault }, i) => TABLE.findIndex((row) => row.fault === fault) === i);
  it.each(rows.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await stage.run(row, { expected: row.once, secure: true });
  });
});

describe('without end', () => {
  const lasting = TABLE.filter(({ always }) => always !== null);
  it.each(lasting.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await stage.run(row, { expected: row.always as Outcome, times: Number.POSITIVE_INFINITY });
  });
});

/** An upload would bear a question that fails; so does whoever asks without one. */
describe('a dedup query, by itself', () => {
  const rows = TABLE.filter(({ at }) => at === 'dedup');
  it.each(rows.map((row) => [row.what, row] as const))(
    '%s, and nothing is thrown',
    async (_, row) => {
      const { at, fault } = row;
      const { pool, gateway, storedHash, shorterHash } = stage;
      const world = await createWorld({ pool, gateway, at, fault, shorterHash });
      try {
        const answer = await world.cas.queryDedup(MerkleHash.parse(storedHash));
        // Bytes that came in good order are the caller's to judge.
        const brings = row.what.includes('brings');
        expect(answer === null).toBe(!brings);
      } finally {
        await world.close();
      }
    },
  );
});
