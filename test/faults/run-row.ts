import { expect } from 'vitest';
import type { Gateway } from '../../src/gateway/index.js';
import type { CasClientOptions } from '../../src/transport/index.js';
import { createComputePool, type WorkerPool } from '../../src/workers/index.js';
import { generate } from '../support/generators.js';
import type { Outcome, Row } from './table.js';
import { createSharedGateway, createWorld, TOKENS, type World } from './world.js';

const FILE_BYTES = 200_000;
/** Longer than any pause that a row asks for: nothing may hang. */
const MOST_MS = 120_000;

/** What all rows of a file share, and a way to run one of them. */
export interface Stage {
  readonly pool: WorkerPool;
  readonly gateway: Gateway;
  /** What all downloads fetch, and its first half, which is stored as well. */
  readonly storedHash: string;
  readonly shorterHash: string;
  run(row: Row, options: RowOptions): Promise<void>;
  close(): Promise<void>;
}

export interface RowOptions {
  readonly expected: Outcome;
  /** @default 1 */
  readonly times?: number;
  /** @default false */
  readonly secure?: boolean;
  readonly cas?: Partial<CasClientOptions> | undefined;
}

export async function createStage(): Promise<Stage> {
  /** Each upload has a file of its own: one that is stored is not sent again. */
  let nextSeed = 1;
  const newFile = () => generate({ kind: 'splitmix64', seed: nextSeed++, bytes: FILE_BYTES });
  const pool = await createComputePool({ threads: 0, maxMemory: 8 << 20 });
  const gateway = createSharedGateway(pool);
  const file = newFile();
  const seeding = await createWorld({ pool, gateway, at: 'range', fault: () => {} });
  // Behind another one, so that its range does not begin where the xorb does.
  const storedHash = await seeding.seed(newFile(), file);
  const shorterHash = await seeding.seed(file.subarray(0, FILE_BYTES / 2));
  await seeding.close();
  const run: Stage['run'] = async (row, { expected, times = 1, secure = false, cas }) => {
    const { at, fault, waits = false } = row;
    const world = await createWorld({
      ...{ pool, gateway, at, fault, times, secure, waits, shorterHash },
      ...(cas === undefined ? {} : { cas }),
    });
    try {
      await runIn(world, row, expected, { storedHash, file, newFile });
      expect(pool.freeSlabs).toBe(pool.slabCount);
    } finally {
      await world.close();
    }
  };
  return {
    ...{ pool, gateway, storedHash, shorterHash, run },
    async close() {
      await gateway.close();
      await pool.close();
    },
  };
}

async function runIn(
  world: World,
  { at }: Row,
  expected: Outcome,
  files: {
    readonly storedHash: string;
    readonly file: Uint8Array;
    readonly newFile: () => Uint8Array;
  },
): Promise<void> {
  const isDownload = at === 'plan' || at === 'range';
  const file = isDownload ? files.file : files.newFile();
  const work = isDownload
    ? world.download(files.storedHash).then((bytes) => expect(Buffer.compare(bytes, file)).toBe(0))
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
}

/** Tokens and the caller's headers went to the store only, and are in no message. */
export function checkSecrets({ proxy, retries }: World, error: unknown): void {
  for (const { headers } of proxy.otherSeen) {
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('x-mine');
    expect(headers).not.toHaveProperty('referer');
  }
  for (const { path, headers } of proxy.seen) {
    if (/^\/v1\/(fetch|xorb-uploads)\//.test(path))
      expect(headers).not.toHaveProperty('authorization');
  }
  const said = JSON.stringify([retries, error, String(error)]);
  for (const secret of TOKENS) expect(said).not.toContain(secret);
  expect(said).not.toMatch(/X-Xet-Signature=[^*"]/i);
}
