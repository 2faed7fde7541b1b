import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/index.js';
import { generate } from '../support/generators.js';

/** Every program of `examples/` is run as it stands; they import the package by its name. */

const folderOfExamples = fileURLToPath(new URL('../../examples', import.meta.url));
const names = readdirSync(folderOfExamples).filter((name) => name.endsWith('.mjs'));
const content = generate({ kind: 'splitmix64', seed: 21, bytes: 300_000 });

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orbweaver-examples-'));
  writeFileSync(join(folder, 'input.bin'), content);
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Running {
  readonly url: string;
  stop(): Promise<number | null>;
}

async function start(name: string): Promise<Running> {
  const child = spawn(
    process.execPath,
    [join(folderOfExamples, name), join(folder, `store-${name}`)],
    { cwd: folder, env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = once(child, 'close') as Promise<[number | null]>;
  let text = '';
  for await (const piece of child.stdout) {
    text += String(piece);
    if (text.includes('\n')) break;
  }
  return {
    url: text.split('\n')[0] ?? '',
    async stop() {
      child.kill('SIGTERM');
      return (await ended)[0];
    },
  };
}

const run = promisify(execFile);

describe('the examples', () => {
  it('are all run here, listed, and short', () => {
    const list = readFileSync(join(folderOfExamples, 'README.md'), 'utf8');
    for (const name of names) {
      expect(list, name).toContain(`\`${name}`);
      const lines = readFileSync(join(folderOfExamples, name), 'utf8').trimEnd().split('\n');
      expect(lines.length, name).toBeLessThan(40);
    }
    expect(names).toHaveLength(6);
  });

  it.each(['gateway.mjs', 'express.mjs', 'fastify.mjs', 'hono.mjs'])(
    '%s takes a file and gives it back, and ends when it is told to',
    async (name) => {
      const server = await start(name);
      const client = await createClient({ endpoint: server.url, token: 'writer', workers: 0 });
      const { files } = await client.upload({ name: 'input', data: content });
      const pieces: Uint8Array[] = [];
      for await (const piece of client.stream(files[0]?.fileHash ?? '')) pieces.push(piece);
      expect(Buffer.compare(Buffer.concat(pieces), content)).toBe(0);
      await client.close();
      expect(await server.stop()).toBe(0);
    },
    60_000,
  );

  it('upload-download.mjs does both against a gateway', async () => {
    const server = await start('gateway.mjs');
    const env = { ...process.env, ORBWEAVER_ENDPOINT: server.url, ORBWEAVER_TOKEN: 'writer' };
    const program = join(folderOfExamples, 'upload-download.mjs');
    const { stdout } = await run(process.execPath, [program, 'input.bin'], { cwd: folder, env });
    expect(stdout).toMatch(/300000 bytes, [\s\S]* 4096 bytes from the middle/);
    expect(readFileSync(join(folder, 'copy.bin')).equals(content)).toBe(true);
    await server.stop();
  }, 60_000);

  it('in-process.mjs needs nobody', async () => {
    const { stdout } = await run(process.execPath, [join(folderOfExamples, 'in-process.mjs')]);
    expect(stdout).toMatch(/stored 60000 bytes, the second time 0\n/);
  }, 60_000);
});
