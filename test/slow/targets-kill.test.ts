import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/http/index.js';
import {
  type ListeningServer,
  listen,
  startCascadeServer,
  startMetadataServer,
} from '../../src/target-servers/index.js';
import { generate, SplitMix64 } from '../support/generators.js';

/**
 * `kill -9` of the command at random points: after a random request of it, plus a moment. Whatever
 * happens, a later run ends the transfer, or says plainly that nobody can know; coins are spent once
 * and a start is sent once, which the server counts.
 */

const CLI = resolve(import.meta.dirname, '../../dist/cli/main.js');
/** Each of them is three runs of the command: CI takes the first ones of the same seed. */
const KILLS = process.env['CI'] === undefined ? 10 : 2;
/** Printed with a failure: the same seed kills at the same requests. */
const SEED = Number(process.env['ORBWEAVER_SEED'] ?? 2026);
const BYTES = generate({ kind: 'splitmix64', seed: 12, bytes: 3_000_000 });
const VOLUME_BYTES = 1024 * 1024;
const VOLUMES = 3;
const SECRET = 'seeded secret 4711';

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-kill-'));
  await writeFile(join(folder, 'file.bin'), BYTES);
  await writeFile(join(folder, 'secret'), SECRET);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function startUpload(args: readonly string[]): { child: ChildProcess; over: Promise<Outcome> } {
  const child = spawn(
    process.execPath,
    [
      CLI,
      ...['upload', join(folder, 'file.bin'), '--json', '--state-dir', join(folder, 'state')],
      ...['--token-file', join(folder, 'secret'), ...args],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += text;
  });
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const over = new Promise<Outcome>((done) => {
    child.on('close', (code) => done({ code, stdout, stderr }));
  });
  return { child, over };
}

/** Everything that lies in the folder of the journals. */
async function journalText(): Promise<string> {
  const names = await readdir(join(folder, 'state')).catch(() => []);
  const texts = await Promise.all(
    names.map((name) => readFile(join(folder, 'state', name), 'utf8').catch(() => '')),
  );
  return texts.join('\n');
}

/**
 * Runs the command and kills it `afterMs` after its request number `at`. Requests behind that one get
 * their response when it is dead, so that it cannot end before. A run that needs fewer requests ends
 * by itself, which it may: how many there are depends on how often it had to ask. Returns what became
 * of it.
 */
async function killedRun(
  args: readonly string[],
  requests: { onRequest: () => Promise<void> | void },
  kill: { at: number; afterMs: number },
): Promise<Outcome> {
  const { child, over } = startUpload(args);
  let seen = 0;
  requests.onRequest = () => {
    seen++;
    if (seen === kill.at) setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
    return seen > kill.at ? over.then(() => {}) : undefined;
  };
  const outcome = await over;
  if (outcome.code !== null) expect(outcome.code, outcome.stdout).toBe(0);
  requests.onRequest = () => {};
  const text = await journalText();
  expect(text).not.toContain(SECRET);
  expect(text).not.toContain('X-Goog');
  return outcome;
}

/** A program that pays is not killed with the command: until it has ended, no wallet can say "no". */
async function walletIsOver(): Promise<void> {
  for (;;) {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args']);
    if (!stdout.includes(join(folder, 'pay.cjs'))) return;
    await new Promise((done) => setTimeout(done, 50));
  }
}

describe('the command is killed and started again', () => {
  const generator = new SplitMix64(BigInt(SEED));
  const random = (): number => {
    generator.next();
    return generator.high / 2 ** 32;
  };

  async function frontOf(exchange: Exchange): Promise<{
    front: ListeningServer;
    requests: { onRequest: () => Promise<void> | void };
  }> {
    const requests = { onRequest: (): Promise<void> | void => {} };
    const front = await listen(async (request) => {
      await requests.onRequest();
      return exchange(request);
    });
    return { front, requests };
  }

  /** A wallet of two programs: one pays, one looks. */
  async function wallet(url: string): Promise<{ pay: string; find: string }> {
    const program = async (name: string, body: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, `#!${process.execPath}\n${body}`);
      await chmod(path, 0o755);
      return path;
    };
    const pay = await program(
      'pay.cjs',
      `const [amount, reference] = process.argv.slice(2);
       fetch('${url}/wallet/burn', { method: 'POST', body: JSON.stringify({ amount, reference }) })
         .then((response) => response.json()).then(({ txid }) => console.log(txid));`,
    );
    const find = await program(
      'find.cjs',
      `const [, reference] = process.argv.slice(2);
       fetch('${url}/wallet/burns?reference=' + reference)
         .then((response) => response.json()).then(({ txids }) => console.log(txids[0] ?? ''));`,
    );
    return { pay, find };
  }

  for (let kill = 0; kill < KILLS; kill++) {
    it(`cascade, kill ${kill + 1} of ${KILLS}`, async () => {
      const server = await startCascadeServer({
        passphrase: SECRET,
        volumeBytes: VOLUME_BYTES,
        blockMs: 400,
      });
      const { front, requests } = await frontOf(server.exchange);
      try {
        const { pay, find } = await wallet(front.url);
        const args = [
          ...['--to', `cascade:${front.url}`, '--accept-cost'],
          ...['--set', `pastelId=${server.pastelId}`, '--set', 'pollMs=50'],
          ...['--set', `payCommand=${pay}`, '--set', `findCommand=${find}`],
          ...['--set', 'lookupMs=2000'],
        ];
        // Upload, details, three payments, start, several looks.
        const at = 1 + Math.floor(random() * 9);
        const first = await killedRun(args, requests, { at, afterMs: Math.floor(random() * 60) });
        await walletIsOver();
        let { code, stdout } = first.code === 0 ? first : await startUpload(args).over;
        expect(server.counts.startRequests).toBeLessThanOrEqual(1);
        if (code !== 0) {
          expect(stdout).toContain('OUTCOME_UNKNOWN');
          const [failed] = JSON.parse(stdout).failed;
          expect(failed.fields).toMatchObject({ class: 'unknown-outcome', target: 'cascade' });
          expect(failed.fields.fileId).toMatch(/^\w{8}$/);
          expect(server.counts.starts).toBe(0);
          ({ code, stdout } = await startUpload([...args, '--set', 'startWhenAbsent=true']).over);
        }
        expect(code, stdout).toBe(0);
        const [{ target }] = JSON.parse(stdout).files;
        expect(target).toMatchObject({ kind: 'cascade', state: 'done', verified: true });
        expect(Buffer.compare(await server.read(target.ids.fileId), BYTES)).toBe(0);
        expect(server.counts).toMatchObject({ starts: 1, payments: VOLUMES, restores: 0 });
        expect(await journalText()).toBe('');
      } finally {
        await front.close();
        await server.close();
      }
    });

    it(`startrail, kill ${kill + 1} of ${KILLS}`, async () => {
      const server = await startMetadataServer({ apiKey: 'seeded-secret-4711', tickMs: 800 });
      await writeFile(join(folder, 'secret'), 'seeded-secret-4711');
      const { front, requests } = await frontOf(server.exchange);
      // Signed URLs lead to the front as well: the host is not part of the signature.
      server.faults.urlOrigin = front.url;
      try {
        const args = [
          ...['--to', `startrail:${front.url}`, '--set', `issuer=${server.issuer}`],
          ...['--set', 'pollMs=50'],
        ];
        const at = 1 + Math.floor(random() * 6);
        const first = await killedRun(args, requests, { at, afterMs: Math.floor(random() * 40) });
        const { code, stdout } = first.code === 0 ? first : await startUpload(args).over;
        expect(code, stdout).toBe(0);
        const [{ target }] = JSON.parse(stdout).files;
        expect(target).toMatchObject({ kind: 'startrail', state: 'done', verified: true });
        expect(Buffer.compare(await server.read('file.bin'), BYTES)).toBe(0);
        expect(server.counts).toMatchObject({ stored: 1, leakedHeaders: 0, extraHeaders: 0 });
        expect(await journalText()).toBe('');
      } finally {
        await front.close();
        await server.close();
      }
    });
  }
});
