import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createMultipartServer, type Generation, listen } from '../../src/target-servers/index.js';
import { BINARY } from '../cli/run-binary.js';
import { generate } from '../support/generators.js';

/** `kill -9` of the command at seeded random points of its requests, then the same command again. */

const bytes = generate({ kind: 'splitmix64', seed: 31, bytes: 8_000_001 });
const CHUNK_BYTES = 200_000;
const CHUNKS = Math.ceil(bytes.length / CHUNK_BYTES);
/** CI takes the first ones of the same seed. */
const POINTS = process.env['CI'] === undefined ? 10 : 3;
const TOKEN = 'secret-of-the-killed-one';

/** A generator of numbers from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('an upload to a multipart server that is killed', () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-kill-'));
    file = join(folder, 'file.bin');
    await writeFile(file, bytes);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  for (const generation of ['g0', 'g1', 'g2'] satisfies Generation[]) {
    it(`goes on with ${generation} where it was, at ${POINTS} points`, async () => {
      const random = seeded(generation.charCodeAt(1));
      for (let point = 0; point < POINTS; point++) {
        const server = createMultipartServer({
          generation,
          clock: SYSTEM_CLOCK,
          tokens: { [TOKEN]: 'user' },
          defaultChunkBytes: CHUNK_BYTES,
        });
        // One request for the creation, one for each chunk, one for the completion.
        const killAt = 1 + Math.floor(random() * (CHUNKS + 2));
        const before = random() < 0.5;
        let seen = 0;
        let child: ChildProcess | null = null;
        const listening = await listen(async (request) => {
          const now = ++seen === killAt;
          if (now && before) child?.kill('SIGKILL');
          const response = await server.exchange(request);
          if (now && !before) child?.kill('SIGKILL');
          return response;
        });
        const state = join(folder, `state-${generation}-${point}`);
        const run = (): Promise<{ status: number | null; out: string }> => {
          const args = ['upload', file, '--to', `multipart:${listening.url}/api`, '--json'];
          child = spawn(process.execPath, [BINARY, ...args, '--state-dir', state], {
            env: { ...process.env, ORBWEAVER_MULTIPART_TOKEN: TOKEN },
          });
          let out = '';
          child.stdout?.on('data', (piece) => {
            out += piece;
          });
          return new Promise((resolve) =>
            child?.once('close', (status) => resolve({ status, out })),
          );
        };
        const where = `${generation}, ${before ? 'before' : 'after'} request ${killAt} of ${CHUNKS + 2}`;
        expect((await run()).status, where).toBeNull();
        const [journal] = await readdir(state);
        const text = await readFile(join(state, journal ?? ''), 'utf8');
        expect(text).not.toContain(TOKEN);
        const acknowledged = text.split('"type":"ack"').length - 1;
        const { status, out } = await run();
        expect(status, where).toBe(0);
        const [done] = JSON.parse(out).files;
        expect(done.target, where).toMatchObject({ kind: 'multipart', state: 'done' });
        const stored = await server.read(done.target.ids.file_id);
        expect(Buffer.compare(stored, bytes), where).toBe(0);
        expect(await readdir(state), where).toEqual([]);
        // g0 tells nobody what it has: what was on its way when the process died goes out again, and
        // nothing of which the acknowledgement was seen.
        expect(server.repeatedChunks, where).toBeLessThanOrEqual(generation === 'g0' ? 3 : 0);
        const lost = killAt === CHUNKS + 2 && !before;
        if (generation === 'g2' && !lost)
          expect(server.requests.create, where).toBeLessThanOrEqual(2);
        expect(acknowledged, where).toBeLessThanOrEqual(CHUNKS);
        expect(server.files.size, where).toBe(1);
        await listening.close();
        await server.close();
      }
    });
  }
});
