import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Generation } from '../../../src/target-servers/index.js';
import { classOf } from '../../../src/transport/targets.js';
import { generate } from '../../support/generators.js';
import { countedSource, memoryJournal } from '../support.js';
import { multipartRig } from './rig.js';

const bytes = generate({ kind: 'splitmix64', seed: 12, bytes: 450_001 });
const ALL: readonly Generation[] = ['g0', 'g1', 'g1a', 'g2'];

async function failureOf(
  running: Promise<unknown>,
): Promise<Error & { code: string; fields: Record<string, unknown> }> {
  return running.then(
    () => expect.fail('expected a failure'),
    (error) => error,
  );
}

describe('the multipart target', () => {
  for (const generation of ALL) {
    it(`finds out by itself that the server is ${generation}, and sends each chunk once`, async () => {
      const { server, run } = multipartRig(generation);
      const result = await run(countedSource(bytes));
      expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), bytes)).toBe(0);
      expect([...server.chunkBodies.values()]).toEqual([1, 1, 1, 1, 1]);
      expect(result.verified).toBe(true);
      expect(result.details['compared']).toEqual(['size', generation === 'g2' ? 'sha256' : 'md5']);
      expect(server.requests).toMatchObject({ chunk: 5, complete: 1, cancel: 0 });
    });
  }

  it('sends three chunks at once, and no more', async () => {
    let now = 0;
    let most = 0;
    const { server, run } = multipartRig('g2');
    await run(countedSource(bytes), {
      exchange: async (request) => {
        const isChunk = request.url.pathname.includes('/chunk/');
        if (isChunk) most = Math.max(most, ++now);
        for (let i = 0; i < 5; i++) await new Promise(setImmediate);
        const response = await server.exchange(request);
        if (isChunk) now--;
        return response;
      },
    });
    expect(most).toBe(3);
  });

  it('does not send what the server has, and says that nothing but the size was compared', async () => {
    for (const generation of ['g0', 'g1', 'g1a'] satisfies Generation[]) {
      const { server, run } = multipartRig(generation);
      const first = await run(countedSource(bytes));
      const second = await run(countedSource(bytes));
      expect(second).toMatchObject({ deduplicated: true, verified: false, ids: first.ids });
      expect(server.requests.chunk).toBe(5);
      const third = await run(countedSource(bytes), { dedup: false });
      expect(third).toMatchObject({ deduplicated: false, verified: true });
      expect(server.requests.chunk).toBe(10);
    }
  });

  it('reads the source once when dedup is off', async () => {
    const { run } = multipartRig('g1');
    const source = countedSource(bytes);
    await run(source, { dedup: false });
    expect(source.opened).toBe(1);
  });

  it('uploads again when the file of the same hash has another size', async () => {
    const { server, run } = multipartRig('g1', {
      faults: [{ on: 'create', do: { kind: 'exists', size: 3, owner: 'somebody' } }],
    });
    const result = await run(countedSource(bytes));
    expect(result).toMatchObject({ deduplicated: false, verified: true });
    expect(server.requests).toMatchObject({ create: 2, chunk: 5 });
  });

  it("takes another owner's file of the right size as there, never as checked", async () => {
    const { run } = multipartRig('g1', {
      faults: [{ on: 'create', do: { kind: 'exists', owner: 'somebody' } }],
    });
    expect(await run(countedSource(bytes))).toMatchObject({ deduplicated: true, verified: false });
  });

  for (const plan of [
    { chunkSize: 0 },
    { chunkSize: -5 },
    { chunksCount: 4 },
    { chunkSize: 1.5 },
    { chunksCount: 2 ** 40, chunkSize: 1e-9 },
  ]) {
    it(`stops at a plan that cannot be right: ${JSON.stringify(plan)}`, async () => {
      const { server, run } = multipartRig('g1', {
        faults: [{ on: 'create', do: { kind: 'wrong-plan', ...plan } }],
      });
      const error = await failureOf(run(countedSource(bytes)));
      expect(error.code).toBe('PROTOCOL');
      expect(classOf(error)).toBe('permanent');
      expect(server.requests).toMatchObject({ create: 1, chunk: 0 });
    });
  }

  it('halves the chunk size on 413 and creates again', async () => {
    const { server, run } = multipartRig('g1', {
      defaultChunkBytes: 4 << 20,
      bodyLimitBytes: 3 << 20,
    });
    const large = generate({ kind: 'splitmix64', seed: 5, bytes: 9 << 20 });
    const result = await run(countedSource(large));
    expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), large)).toBe(0);
    expect(server.requests.create).toBe(2);
  });

  it('gives up on 413 below the smallest chunk size', async () => {
    const { run } = multipartRig('g1', { bodyLimitBytes: 1000 });
    expect(classOf(await failureOf(run(countedSource(bytes))))).toBe('permanent');
  });

  it('waits for as long as a 429 asks', async () => {
    const { clock, run } = multipartRig('g2', {
      faults: [
        { on: 'chunk', do: { kind: 'respond', status: 429, headers: { 'retry-after': '17' } } },
        { on: 'create', do: { kind: 'respond', status: 429, headers: { 'retry-after': '23' } } },
      ],
    });
    expect((await run(countedSource(bytes))).verified).toBe(true);
    expect(clock.slept).toContain(17_000);
    expect(clock.slept).toContain(23_000);
  });

  for (const status of [408, 500, 502, 503]) {
    it(`sends a chunk again after ${status}, five times in all`, async () => {
      const rig = multipartRig('g1');
      rig.server.plan({ on: 'chunk', times: 4, do: { kind: 'respond', status } });
      expect((await rig.run(countedSource(bytes.subarray(0, 50_000)))).verified).toBe(true);
      expect(rig.server.requests.chunk).toBe(5);
      rig.server.plan({ on: 'chunk', times: 99, do: { kind: 'respond', status } });
      const again = rig.run(countedSource(bytes.subarray(0, 60_000)));
      expect(classOf(await failureOf(again))).toBe('transient');
      expect(rig.server.requests.chunk).toBe(10);
    });
  }

  it('takes 409 for a chunk that is there', async () => {
    const { server, run } = multipartRig('g1');
    server.plan({ on: 'chunk', nth: 2, do: { kind: 'lose-response' } });
    server.plan({ on: 'chunk', nth: 4, do: { kind: 'respond', status: 409 } });
    // The one that was answered 409 without being stored is missing at the end: the upload is made anew.
    const result = await run(countedSource(bytes));
    expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), bytes)).toBe(0);
  });

  for (const generation of ALL) {
    it(`plans again when ${generation} loses the task in the middle`, async () => {
      const { server, run } = multipartRig(generation, {
        faults: [{ on: 'chunk', nth: 3, do: { kind: 'forget-task' } }],
      });
      const result = await run(countedSource(bytes));
      expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), bytes)).toBe(0);
      expect(server.files.size).toBe(1);
    });
  }

  it('gives up when every plan is lost', async () => {
    const { server, run } = multipartRig('g2', {
      faults: [{ on: 'chunk', times: 99, do: { kind: 'forget-task' } }],
    });
    expect(classOf(await failureOf(run(countedSource(bytes))))).toBe('transient');
    expect(server.requests.create).toBe(3);
  });

  for (const generation of ['g1', 'g2'] satisfies Generation[]) {
    it(`resumes with what ${generation} says it has, even if it has forgotten a chunk`, async () => {
      const { server, run } = multipartRig(generation, {
        faults: [
          { on: 'chunk', nth: 1, do: { kind: 'forget-entry' } },
          { on: 'chunk', nth: 4, do: { kind: 'respond', status: 401 } },
          { on: 'resume', do: { kind: 'respond', status: 503 } },
        ],
      });
      const journal = memoryJournal();
      await failureOf(run(countedSource(bytes), { parallelParts: 1 }, { journal }));
      expect(server.requests.chunk).toBe(4);
      const rest = memoryJournal(journal.entries);
      const result = await run(countedSource(bytes), {}, { journal: rest });
      expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), bytes)).toBe(0);
      // Of five chunks two are known to be there.
      expect(server.requests).toMatchObject({ create: 1, resume: 2, chunk: 7 });
    });
  }

  it('goes on with its own list where the server has no route for it', async () => {
    const { server, run } = multipartRig('g0', {
      faults: [{ on: 'chunk', nth: 4, do: { kind: 'respond', status: 401 } }],
    });
    const journal = memoryJournal();
    await failureOf(run(countedSource(bytes), { parallelParts: 1 }, { journal }));
    expect(journal.state).toBe('closed');
    const result = await run(
      countedSource(bytes),
      { parallelParts: 1 },
      { journal: memoryJournal(journal.entries) },
    );
    expect(result.verified).toBe(true);
    expect(server.requests.create).toBe(1);
    expect(server.repeatedChunks).toBe(0);
  });

  it('creates again when a task has expired', async () => {
    const { server, clock, run } = multipartRig('g2', {
      faults: [{ on: 'chunk', nth: 4, do: { kind: 'respond', status: 401 } }],
    });
    const journal = memoryJournal();
    await failureOf(run(countedSource(bytes), { parallelParts: 1 }, { journal }));
    clock.advance(6 * 3_600_000 + 1);
    const result = await run(countedSource(bytes), {}, { journal: memoryJournal(journal.entries) });
    expect(result.verified).toBe(true);
    expect(server.requests.create).toBe(2);
  });

  it('gets a fresh token once when the old one expires at a chunk, and sends that chunk only again', async () => {
    const { server, run } = multipartRig('g2', {
      faults: [{ on: 'chunk', nth: 3, do: { kind: 'expire-token' } }],
    });
    let refreshed = 0;
    let token = 'test-token';
    const result = await run(countedSource(bytes), {
      token: {
        get: async () => token,
        refresh: async () => {
          refreshed++;
          token = server.freshToken;
          return token;
        },
      },
    });
    expect(result.verified).toBe(true);
    expect(refreshed).toBe(1);
    expect(server.requests.create).toBe(1);
    expect([...server.chunkBodies.values()]).toEqual([1, 1, 1, 1, 1]);
  });

  for (const generation of ALL) {
    it(`finds the file when the response to "complete" of ${generation} is lost`, async () => {
      const { server, run } = multipartRig(generation, {
        faults: [{ on: 'complete', do: { kind: 'lose-response' } }],
      });
      const result = await run(countedSource(bytes));
      expect(result.state).toBe('done');
      // g2 tells the id only, which is nothing to compare with.
      expect(result.verified).toBe(generation !== 'g2');
      expect(server.files.size).toBe(1);
      expect(server.requests.complete).toBe(1);
      expect(server.requests.chunk).toBe(5);
    });
  }

  it('says that the outcome is unknown, with the ids, when g2 does not know the task any more', async () => {
    const { server, run } = multipartRig('g2', {
      faults: [
        { on: 'complete', do: { kind: 'lose-response' } },
        { on: 'status', times: 99, do: { kind: 'respond', status: 404, body: { error: 'x' } } },
        { on: 'progress', times: 99, do: { kind: 'respond', status: 404, body: { error: 'x' } } },
      ],
    });
    const journal = memoryJournal();
    const error = await failureOf(run(countedSource(bytes), {}, { journal }));
    expect(error.code).toBe('OUTCOME_UNKNOWN');
    expect(error.fields['task_id']).toMatch(/^[0-9a-f]{21}$/);
    expect(journal.state).toBe('closed');
    expect(server.requests.complete).toBe(1);
  });

  for (const generation of ['g0', 'g1', 'g2'] satisfies Generation[]) {
    it(`sends again what ${generation} misses at the end`, async () => {
      const { server, run } = multipartRig(generation);
      let dropped = false;
      const exchange: typeof server.exchange = async (request) => {
        // A chunk that is acknowledged and not there: the server's disk.
        if (!dropped && request.url.pathname.endsWith('/2')) {
          dropped = true;
          request.body?.cancel();
          return { status: 200, headers: {}, body: null };
        }
        return server.exchange(request);
      };
      const result = await run(countedSource(bytes), { exchange });
      expect(Buffer.compare(await server.read(result.ids['file_id'] ?? ''), bytes)).toBe(0);
      // g2 keeps the task: one chunk was enough.
      expect(server.requests.chunk).toBe(generation === 'g2' ? 5 : 9);
    });
  }

  for (const statusForm of ['text', 'number'] as const) {
    it(`waits for a slow 202 whose status is a ${statusForm}`, async () => {
      const { clock, run } = multipartRig('g1a', { processingLooks: 6, statusForm });
      const stages: string[] = [];
      const result = await run(
        countedSource(bytes),
        {},
        {
          onProgress: ({ target }) => {
            if (target !== null) stages.push(target.stage);
          },
        },
      );
      expect(result.verified).toBe(true);
      expect(stages).toContain('processing');
      // Every second, rising to five.
      const polls = clock.slept.filter((ms) => ms >= 1000);
      expect(polls[0]).toBeCloseTo(1000, 5);
      expect(Math.max(...polls)).toBeLessThanOrEqual(5000.001);
      expect(polls).toEqual([...polls].sort((a, b) => a - b));
    });
  }

  it('finds the file by its hash when a 202 is followed by 404', async () => {
    const { server, run } = multipartRig('g1a', {
      faults: [{ on: 'complete', do: { kind: 'forget-processing' } }],
    });
    expect((await run(countedSource(bytes))).verified).toBe(true);
    expect(server.files.size).toBe(1);
  });

  it('does not call a 202 done whose processing failed, and begins anew the next time', async () => {
    const { server, run } = multipartRig('g1a', {
      faults: [{ on: 'complete', do: { kind: 'fail-processing' } }],
    });
    const journal = memoryJournal();
    const error = await failureOf(run(countedSource(bytes), {}, { journal }));
    expect(classOf(error)).toBe('transient');
    expect(journal.state).toBe('dropped');
    expect(server.files.size).toBe(0);
  });

  it('watches a 202 on after a restart without sending anything', async () => {
    const { server, run } = multipartRig('g1a', { processingLooks: 3 });
    const controller = new AbortController();
    const journal = memoryJournal();
    const running = run(
      countedSource(bytes),
      {},
      {
        journal,
        signal: controller.signal,
        onProgress: ({ phase }) => {
          if (phase === 'status') controller.abort();
        },
      },
    );
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    const { requests } = { requests: { ...server.requests } };
    const source = countedSource(bytes);
    const result = await run(source, {}, { journal: memoryJournal(journal.entries) });
    expect(result).toMatchObject({ state: 'done', verified: true });
    expect(server.requests).toMatchObject({ chunk: requests.chunk, complete: 1 });
    expect(source.opened).toBe(0);
  });

  for (const wrong of [{ size: 450_000 }, { hash: 'f'.repeat(32) }]) {
    it(`calls a stored file wrong whose ${Object.keys(wrong)[0]} is another`, async () => {
      const { run } = multipartRig('g1', {
        faults: [{ on: 'complete', do: { kind: 'wrong-result', ...wrong } }],
      });
      const error = await failureOf(run(countedSource(bytes)));
      expect(classOf(error)).toBe('integrity');
      expect(error.fields['file_id']).toBeTypeOf('string');
    });
  }

  it('does not compare a hash of a length that it does not know', async () => {
    const { run } = multipartRig('g1', {
      faults: [{ on: 'complete', do: { kind: 'wrong-result', hash: 'abcd' } }],
    });
    expect(await run(countedSource(bytes))).toMatchObject({ verified: false, state: 'done' });
  });

  it('checks neither size nor hash of what the server encrypts', async () => {
    const { run } = multipartRig('g0', {
      faults: [{ on: 'complete', do: { kind: 'wrong-result', size: 77, hash: 'e'.repeat(32) } }],
    });
    const result = await run(countedSource(bytes), { encryptPassword: 'a secret word' });
    expect(result.verified).toBe(false);
  });

  it('makes an empty file where the server takes one, and says so where it does not', async () => {
    for (const generation of ['g0', 'g1', 'g1a'] satisfies Generation[]) {
      const { server, run } = multipartRig(generation);
      const result = await run(countedSource(new Uint8Array(0)));
      expect(result).toMatchObject({ state: 'done', verified: true, sizeBytes: 0 });
      expect(server.requests.chunk).toBe(0);
    }
    const { run } = multipartRig('g2');
    const error = await failureOf(run(countedSource(new Uint8Array(0))));
    expect(error.code).toBe('UNSUPPORTED');
    expect(classOf(error)).toBe('permanent');
  });

  it('uploads a stream that can be read once, without dedup', async () => {
    const { server, run } = multipartRig('g1');
    await run(countedSource(bytes));
    const source = countedSource(bytes, { reopenable: false });
    const result = await run(source);
    expect(result).toMatchObject({ deduplicated: false, verified: true });
    expect(source.opened).toBe(1);
    expect(server.files.size).toBe(2);
  });

  const PROBLEM = { title: 'One or more validation errors occurred.', status: 400 };
  for (const [what, fault, expected] of [
    ['problem+json', { status: 400, body: PROBLEM }, 'permanent'],
    ['an empty 401', { status: 401 }, 'auth'],
    [
      'no permission',
      { status: 403, body: { code: 'FORBIDDEN', message: 'No permission.' } },
      'auth',
    ],
    ['quota', { status: 403, body: { message: 'Insufficient quota for this file.' } }, 'quota'],
    [
      'a file type',
      { status: 403, body: { message: 'This file type is not accepted.' } },
      'permanent',
    ],
    ['a size', { status: 403, body: { message: 'File is too large for the pool.' } }, 'permanent'],
    ['no pool', { status: 404, body: { code: 'NOT_FOUND', message: 'Pool' } }, 'permanent'],
  ] as const) {
    it(`sorts a refusal of "create": ${what}`, async () => {
      const { run } = multipartRig('g1', {
        faults: [{ on: 'create', do: { kind: 'respond', ...fault } }],
      });
      const error = await failureOf(run(countedSource(bytes)));
      expect(classOf(error)).toBe(expected);
    });
  }

  it('does not repeat what another owner may not send', async () => {
    const { server, run } = multipartRig('g2', {
      tokens: { 'test-token': 'user', 'other-token': 'other' },
    });
    let count = 0;
    const exchange: typeof server.exchange = (request) =>
      server.exchange(
        request.url.pathname.includes('/chunk/') && ++count > 0
          ? { ...request, headers: { ...request.headers, authorization: 'Bearer other-token' } }
          : request,
      );
    expect(classOf(await failureOf(run(countedSource(bytes), { exchange })))).toBe('auth');
  });

  it('cancels the task at the server when nobody could go on with it', async () => {
    for (const generation of ['g1', 'g2'] satisfies Generation[]) {
      const { server, run } = multipartRig(generation);
      const controller = new AbortController();
      const running = run(
        countedSource(bytes),
        {},
        {
          signal: controller.signal,
          onProgress: ({ acknowledgedBytes }) => {
            if (acknowledgedBytes > 0) controller.abort();
          },
        },
      );
      await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
      expect(server.requests.cancel).toBe(generation === 'g1' ? 1 : 2);
    }
  });

  it('asks for chunks that pass the limit where the server would make one that does not', async () => {
    const sizeBytes = 6 * (1 << 20) - 1;
    const large = generate({ kind: 'splitmix64', seed: 3, bytes: sizeBytes });
    const { server, run } = multipartRig('g1', { defaultChunkBytes: 5 << 20 });
    const result = await run(countedSource(large));
    expect(server.requests).toMatchObject({ create: 1, chunk: 2 });
    const stored = await server.read(result.ids['file_id'] ?? '');
    expect(createHash('md5').update(stored).digest('hex')).toBe(result.digests.md5);
  });
});
