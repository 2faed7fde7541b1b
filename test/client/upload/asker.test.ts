import { expect, it } from 'vitest';
import { Asker, type AskingLane } from '../../../src/client/upload/asker.js';
import type { Batch } from '../../../src/client/upload/batch.js';
import type { Knowledge } from '../../../src/client/upload/knowledge.js';
import type { Lookahead } from '../../../src/client/upload/lookahead.js';
import { GlobalQueries } from '../../../src/client/upload/queries.js';
import type { DedupSession } from '../../../src/dedup/index.js';
import { Budget, Deferred, Scope } from '../../../src/flow/index.js';
import { HASH_BYTES } from '../../../src/hash/index.js';
import { SYSTEM_CLOCK } from '../../../src/platform/index.js';
import { MIB, random } from './support.js';

/** Batch number `index` of one file: 20 chunks of which each fourth is listed, as hashes go. */
function batchOf(index: number): Batch {
  const hashes = random(100 + index, 20 * HASH_BYTES);
  for (let chunk = 0; chunk < 20; chunk++) hashes[chunk * HASH_BYTES + 24] = chunk % 4;
  const starts = Uint32Array.from({ length: 20 }, (_, i) => 1000 * i);
  const lengths = new Uint32Array(20).fill(1000);
  const file = { error: null, handle: null };
  const segment = { file, start: 0, end: 20_000, fileOffset: 20_000 * index, isLast: false };
  const segments = [{ ...segment, chunkStart: 0, chunkEnd: 20 }];
  return { segments, starts, lengths, hashes } as unknown as Batch;
}

it('asks densely about batches that came before the server could announce it', async () => {
  const first = new Deferred<null>();
  const questions: number[] = [];
  let announced = false;
  const scope = new Scope({ clock: SYSTEM_CLOCK });
  const unknownOf = (hashes: Uint8Array): number[] => [...Array(hashes.length / HASH_BYTES).keys()];
  const queries = new GlobalQueries({
    cas: {
      queryDedup: () => first.promise,
      denseDedup: () => (announced ? { oneIn: 4, maxChunks: 256 } : null),
      queryDedupMany: async ({ chunks }) => {
        questions.push(chunks.length);
        return null;
      },
    },
    knowledge: { budget: new Budget({ capacityBytes: MIB }) } as unknown as Knowledge,
    unknownOf,
    timeoutMs: 60_000,
    scope,
  });
  // One by one, only the first chunk of the file may be asked for.
  const dedup = {
    openFile: () => 0,
    unknownOf,
    queriesFor: (_: number, hashes: Uint8Array) => (hashes[0] === batchOf(0).hashes[0] ? [0] : []),
  } as unknown as DedupSession;
  const lookahead = { asked: () => undefined } as unknown as Lookahead;
  const asker = new Asker({ dedup, known: null, queries, lookahead });
  const lane: AskingLane = { responses: Promise.resolve() };
  for (const index of [0, 1, 2]) await asker.ask(lane, batchOf(index));
  expect(queries.queryCount).toBe(1);
  announced = true;
  first.resolve(null);
  await lane.responses;
  // Five listed chunks in each, in as few questions as come together.
  expect(questions.reduce((sum, count) => sum + count, 0)).toBe(15);
  expect(questions.length).toBeLessThanOrEqual(3);
  scope.close();
});

it('asks about many small files at once as soon as the first response allows it', async () => {
  const first = new Deferred<null>();
  let single = 0;
  let many = 0;
  let announced = false;
  const scope = new Scope({ clock: SYSTEM_CLOCK });
  const unknownOf = (hashes: Uint8Array): number[] => [...Array(hashes.length / HASH_BYTES).keys()];
  const queries = new GlobalQueries({
    cas: {
      queryDedup: () => {
        single++;
        return first.promise;
      },
      denseDedup: () => (announced ? { oneIn: 4, maxChunks: 256 } : null),
      queryDedupMany: async () => {
        many++;
        return null;
      },
    },
    knowledge: { budget: new Budget({ capacityBytes: MIB }) } as unknown as Knowledge,
    unknownOf,
    timeoutMs: 60_000,
    scope,
  });
  const dedup = { openFile: () => 0, unknownOf, queriesFor: () => [0] } as unknown as DedupSession;
  const lookahead = { asked: () => undefined } as unknown as Lookahead;
  const asker = new Asker({ dedup, known: null, queries, lookahead });
  const lane: AskingLane = { responses: Promise.resolve() };
  const whole = batchOf(0);
  const segments = whole.segments.flatMap((segment) =>
    Array.from({ length: 20 }, (_, i) => ({
      ...segment,
      ...{ start: 1000 * i, end: 1000 * (i + 1), chunkStart: i, chunkEnd: i + 1 },
      ...{ fileOffset: 0, isLast: true },
    })),
  );
  await asker.ask(lane, { ...whole, segments } as unknown as Batch);
  announced = true;
  first.resolve(null);
  await lane.responses;
  expect([single, many]).toEqual([4, 1]);
  scope.close();
});
