import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Gateway } from '../../src/gateway/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { createComputePool, type WorkerPool } from '../../src/workers/index.js';
import { generate } from '../support/generators.js';
import { type Outcome, type Row, TABLE } from './table.js';
import { createSharedGateway, createWorld, TOKENS, type World } from './world.js';

/**
 * Every fault of the network and of servers in one table (`table.ts`), over real sockets, with and
 * without TLS, for the first request of its kind and for all of them.
 */

/** Each upload has a file of its own: one that is stored is not sent again. */
let nextSeed = 1;
const FILE_BYTES = 200_000;
const newFile = () => generate({ kind: 'splitmix64', seed: nextSeed++, bytes: FILE_BYTES });

let pool: WorkerPool;
let gateway: Gateway;
/** What all downloads fetch. */
const STORED = newFile();
let storedHash: string;
let shorterHash: string;

beforeAll(async () => {
  pool = await createComputePool({ threads: 0, maxMemory: 8 << 20 });
  gateway = createSharedGateway(pool);
  const world = await createWorld({ pool, gateway, at: 'range', fault: () => {} });
  // Behind another one, so that its range does not begin where the xorb does.
  storedHash = await world.seed(newFile(), STORED);
  shorterHash = await world.seed(STORED.subarray(0, FILE_BYTES / 2));
  await world.close();
});
afterAll(async () => {
  await gateway.close();
  await pool.close();
});

/** Longer than any pause that a row asks for: nothing may hang. */
const MOST_MS = 120_000;

async function run(row: Row, secure: boolean, times: number, expected: Outcome): Promise<void> {
  const { at, fault, waits = false } = row;
  const world = await createWorld({ pool, gateway, at, fault, times, secure, waits, shorterHash });
  try {
    const isDownload = at === 'plan' || at === 'range';
    const file = isDownload ? STORED : newFile();
    const work = isDownload
      ? world.download(storedHash).then((bytes) => expect(Buffer.compare(bytes, file)).toBe(0))
      : world.upload(file).then(async (stored) => {
          expect(Buffer.compare(await world.stored(stored), file)).toBe(0);
        });
    const error = await work.then(
      () => null,
      (failure: unknown) => failure as { code: string; fields: Record<string, unknown> },
    );
    if ('goesOn' in expected) {
      expect(error).toBeNull();
      expect(world.retries.map(({ code }) => code)).toEqual(expected.goesOn);
      expect(world.passedMs).toBeGreaterThanOrEqual(expected.waitsMs ?? 0);
    } else {
      expect(error).toMatchObject({
        code: expected.fails,
        ...(expected.status === undefined ? {} : { fields: { status: expected.status } }),
      });
    }
    if (at !== 'dedup') expect(world.proxy.count(at)).toBe(expected.requests);
    expect(world.passedMs).toBeLessThan(MOST_MS);
    checkSecrets(world, error);
    expect(pool.freeSlabs).toBe(pool.slabCount);
  } finally {
    await world.close();
  }
}

/** Tokens and the caller's headers went to the store only, and are in no message. */
function checkSecrets({ proxy, retries }: World, error: unknown): void {
  for (const { headers } of proxy.otherSeen) {
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('x-mine');
    expect(headers).not.toHaveProperty('referer');
  }
  for (const { path, headers } of proxy.seen) {
    if (path.startsWith('/v1/fetch/')) expect(headers).not.toHaveProperty('authorization');
  }
  const said = JSON.stringify([retries, error, String(error)]);
  for (const secret of TOKENS) expect(said).not.toContain(secret);
  expect(said).not.toMatch(/X-Xet-Signature=[^*"]/i);
}

describe('once', () => {
  it.each(TABLE.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await run(row, false, 1, row.once);
  });
});

describe('once, over TLS', () => {
  // Each fault at one of its places: what TLS changes is the connection.
  const rows = TABLE.filter(({ fault }, i) => TABLE.findIndex((row) => row.fault === fault) === i);
  it.each(rows.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await run(row, true, 1, row.once);
  });
});

describe('without end', () => {
  const lasting = TABLE.filter(({ always }) => always !== null);
  it.each(lasting.map((row) => [`${row.at}: ${row.what}`, row] as const))('%s', async (_, row) => {
    await run(row, false, Number.POSITIVE_INFINITY, row.always as Outcome);
  });
});

/** An upload would bear a question that fails; so does whoever asks without one. */
describe('a dedup query, by itself', () => {
  const rows = TABLE.filter(({ at }) => at === 'dedup');
  it.each(rows.map((row) => [row.what, row] as const))(
    '%s, and nothing is thrown',
    async (_, row) => {
      const { at, fault } = row;
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
