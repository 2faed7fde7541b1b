import { describe, expect, it } from 'vitest';
import { textBody } from '../../../src/http/index.js';
import { createMultipartServer, type Generation } from '../../../src/target-servers/index.js';
import type { TargetResponse } from '../../../src/transport/targets/http.js';
import {
  evidenceOf,
  lookupHash,
  readCreate,
  readFraction,
  readStatus,
  readTaskId,
  readUploaded,
} from '../../../src/transport/targets/multipart/responses.js';
import {
  chunkBytesToAsk,
  createMultipartTarget,
  type StepContext,
} from '../../../src/transport/targets.js';
import { type ChunkPlanCase, targetVectors } from '../../digests/vectors.js';
import { impatientClock } from '../support.js';

const { drive } = targetVectors();
const GIB = 1024 ** 3;

function response(json: unknown, status = 200): TargetResponse {
  return { status, headers: {}, bytes: new Uint8Array(0), text: JSON.stringify(json), json };
}

/** What a server of this generation plans for a file of this size. */
async function planOf(
  generation: Generation,
  sizeBytes: number,
  chunkSize?: number,
): Promise<ChunkPlanCase> {
  const server = createMultipartServer({ generation, clock: impatientClock() });
  const { body } = await server.exchange({
    method: 'POST',
    url: new URL('http://x/api/files/upload/create'),
    headers: { authorization: 'Bearer test-token' },
    body: textBody(
      JSON.stringify({
        hash: 'x',
        file_name: 'x',
        file_size: sizeBytes,
        content_type: 'x',
        ...(chunkSize === undefined ? {} : { chunk_size: chunkSize }),
      }),
    ),
    signal: new AbortController().signal,
  });
  const buffer = new Uint8Array(4096);
  const text = new TextDecoder().decode(buffer.subarray(0, await body?.fill(buffer)));
  const { chunk_size, chunks_count } = JSON.parse(text) as ChunkPlanCase;
  const last = chunks_count === 0 ? 0 : sizeBytes - (chunks_count - 1) * chunk_size;
  return { file_size: sizeBytes, chunk_size, chunks_count, last };
}

type Case = Record<string, unknown>;

/** One check for each group of the vectors. A group without one fails. */
const CHECKS: Readonly<Record<string, (value: never) => void | Promise<void>>> = {
  kind: () => undefined,
  chunk_plan_g1_note: () => undefined,
  chunk_plan_g0: async (cases: readonly ChunkPlanCase[]) => {
    for (const each of cases) expect(await planOf('g0', each.file_size)).toEqual(each);
  },
  chunk_plan_g1: async (cases: readonly ChunkPlanCase[]) => {
    for (const each of cases) expect(await planOf('g1', each.file_size)).toEqual(each);
  },
  body_limit: async ({ bytes, hazard }: { bytes: number; hazard: Case }) => {
    const size = hazard['file_size'] as number;
    expect(bytes).toBe(6 << 20);
    expect((await planOf('g1', size)).chunk_size).toBe(hazard['g1_chunk_size']);
    const asked = chunkBytesToAsk(size, null);
    expect(asked).toBe(4_194_304);
    expect(await planOf('g1', size, asked ?? 0)).toMatchObject(hazard['g1_with_4MiB'] as Case);
    // Only there: elsewhere the server's own size is fine.
    for (const other of [0, 5_242_880, 5_242_881, 6_290_000, 6_291_456, 10_485_760]) {
      expect(chunkBytesToAsk(other, null)).toBeNull();
    }
  },
  create_exists: ({ body }: { body: Case }) => {
    const { id, hash, size } = body['file'] as Case;
    const file = { id, hash, sizeBytes: size };
    expect(readCreate(response(body))).toEqual({ exists: true, file });
  },
  create_new: checkCreate,
  create_new_g2: checkCreate,
  chunk_ok: (cases: readonly Case[]) => {
    for (const { status } of cases) expect([200, 409]).toContain(status);
  },
  complete: (cases: readonly Case[]) => {
    const pending = cases.find(({ status }) => status === 202) as Case;
    expect(readTaskId(pending['body'])).toBe('<id>');
    expect(readTaskId({ task_id: 'a' })).toBe('a');
  },
  errors: (cases: Readonly<Record<string, { status: number; body?: Case }>>) => {
    for (const { status, body } of Object.values(cases)) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(readUploaded(body)).toBeNull();
    }
  },
  status_numbers_g1: checkNumbers,
  status_numbers_g2: checkNumbers,
  resume_g1: ({ body, send_next }: { body: Case; send_next: number[] }) => {
    const uploaded = readUploaded(body) ?? [];
    const all = Array.from({ length: body['chunks_count'] as number }, (_, index) => index);
    expect(all.filter((index) => !uploaded.includes(index))).toEqual(send_next);
    expect(readFraction(body)).toBe(0.5);
    expect(readFraction({ progress: 0.25 })).toBe(0.25);
    expect(readFraction({ progress: 100 })).toBe(1);
  },
  // test/digests computes these.
  hash: () => undefined,
};

function checkCreate({ body }: { body: Case }): void {
  expect(readCreate(response(body))).toEqual({
    exists: false,
    taskId: body['task_id'],
    chunkBytes: body['chunk_size'],
    chunkCount: body['chunks_count'],
  });
}

function checkNumbers(numbers: Readonly<Record<string, string>>): void {
  for (const [number, text] of Object.entries(numbers)) {
    expect(readStatus({ status: Number(number) }), text).toBe(readStatus({ status: text }));
  }
}

describe('the vectors of the multipart service', () => {
  for (const [name, value] of Object.entries(drive)) {
    it(`hold for ${name}`, async () => {
      const check = CHECKS[name];
      expect(check, 'a check for it').toBeTypeOf('function');
      await check?.(value as never);
    });
  }
});

describe('the hash of the multipart service', () => {
  const context = (sizeBytes: number): StepContext =>
    ({
      source: { name: 'x', sizeBytes },
      digests: { md5: 'a'.repeat(32), md5Ends: sizeBytes > GIB ? 'b'.repeat(32) : null },
    }) as unknown as StepContext;

  it('is that of the whole content up to 1 GiB, and of both ends above', () => {
    expect(lookupHash(context(GIB), 'auto')).toBe('a'.repeat(32));
    expect(lookupHash(context(GIB + 1), 'auto')).toBe('b'.repeat(32));
    expect(lookupHash(context(GIB + 1), 'md5-full')).toBe('a'.repeat(32));
  });

  it('is compared by the rule that it was made by', () => {
    const evidence = (hash: string, sizeBytes: number, rule: 'auto' | 'md5-full' = 'auto') =>
      evidenceOf({ id: 'x', hash, sizeBytes }, context(sizeBytes), rule).digests;
    expect(evidence('c'.repeat(32), GIB)).toEqual({ md5: 'c'.repeat(32) });
    expect(evidence('c'.repeat(32), GIB + 1)).toEqual({ md5Ends: 'c'.repeat(32) });
    expect(evidence('a'.repeat(32), GIB + 1)).toEqual({ md5: 'a'.repeat(32) });
    expect(evidence('c'.repeat(32), GIB + 1, 'md5-full')).toEqual({ md5: 'c'.repeat(32) });
    expect(evidence('d'.repeat(64), GIB)).toEqual({ sha256: 'd'.repeat(64) });
    expect(evidence('?', GIB)).toEqual({});
  });

  it('is a hint above 1 GiB: the file is sent again unless the caller trusts it', async () => {
    const asked: string[] = [];
    const server = createMultipartServer({
      generation: 'g0',
      clock: impatientClock(),
      faults: [
        { on: 'create', nth: 1, do: { kind: 'exists' } },
        { on: 'create', nth: 3, do: { kind: 'exists' } },
      ],
    });
    const plan = (trustFastHash: boolean) =>
      createMultipartTarget({
        exchange: async (request) => {
          const buffer = new Uint8Array(4096);
          const text = new TextDecoder().decode(
            buffer.subarray(0, await request.body?.fill(buffer)),
          );
          asked.push((JSON.parse(text) as { hash: string }).hash);
          return server.exchange({ ...request, body: textBody(text) });
        },
        url: 'http://x',
        token: 'test-token',
        clock: impatientClock(),
        random: () => 0,
        trustFastHash,
      }).plan({ ...context(GIB + 5), notes: [], signal: new AbortController().signal });
    const careful = await plan(false);
    expect(careful.done).toBeUndefined();
    expect(asked[0]).toBe('b'.repeat(32));
    expect(asked[1]).toMatch(/^[0-9a-f]{64}$/);
    expect((await plan(true)).done).toMatchObject({ deduplicated: true });
  });
});
