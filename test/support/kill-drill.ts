import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createClient, type OrbweaverClient } from 'orbweaver';
import { collectGarbage, hubRoots, listStoredFiles, type ObjectStore } from 'orbweaver/gateway';
import { loadKernels } from '../../src/compose/chunk.js';
import { decodeShard } from '../../src/shard/index.js';
import { BINARY } from '../cli/run-binary.js';
import { Scheduler } from '../flow/scheduler.js';
import { generate } from './generators.js';

/**
 * `kill -9` of a gateway at seeded points of an ingest: after so many bytes between it and its clients. What
 * has to hold does not depend on where that is, nor on whether the ingest was over before.
 */

export interface KillDrill {
  /** What `serve` is told besides what every gateway of a drill is. */
  readonly serve: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The same store, opened here. */
  readonly store: ObjectStore;
  readonly kills: number;
  readonly seed: number;
}

/** What a drill found. Everything in it is a list of what should not be. */
export interface DrillResult {
  /** Files that were acknowledged, in all runs together. */
  readonly acknowledged: number;
  /** Commits that were. */
  readonly committed: number;
  /** Of those: not there, or with other bytes. */
  readonly lost: readonly string[];
  /** Registered or committed files, acknowledged or not, that cannot be rebuilt. */
  readonly broken: readonly string[];
  /** Objects that a collector with no grace leaves although no file needs them. */
  readonly left: readonly string[];
  /** Objects that files need and that are not there. */
  readonly missing: readonly string[];
}

const TOKEN = 'token-of-the-drill';
const CLIENTS = 2;
const UPLOADS_OF_A_CLIENT = 2;
const REPO = 'org/drill';
const COMMITS_OF_A_RUN = 8;
const FILE_BYTES = 1_600_000;
const LEAST_XORB_BYTES = 1024 * 1024;

interface Ledger {
  /** Bytes of each acknowledged file. */
  readonly acknowledged: Map<string, Uint8Array>;
  /** Paths of acknowledged commits: each puts one file. */
  readonly committed: Set<string>;
  readonly lost: string[];
  readonly broken: Set<string>;
  readonly left: Set<string>;
  readonly missing: Set<string>;
  /** Files that were read back since they were registered. */
  readonly read: Set<string>;
}

export async function killDrill(drill: KillDrill): Promise<DrillResult> {
  const world = new Scheduler(drill.seed);
  const ledger: Ledger = {
    acknowledged: new Map(),
    committed: new Set(),
    lost: [],
    broken: new Set(),
    left: new Set(),
    missing: new Set(),
    read: new Set(),
  };
  const gate = await openGate();
  let gateway = await startProcess(drill, gate);
  try {
    const repo = JSON.stringify({ name: 'drill', organization: 'org' });
    const made = await ask(gate, '/api/repos/create', { method: 'POST', body: repo });
    if (made.status !== 200) throw new Error(await made.text());
    // The first run is not killed: it says how many bytes one takes.
    await ingest(gate, { run: 0, ledger, killed: new Promise(() => {}) });
    const runBytes = gate.passedBytes();
    for (let run = 1; run <= drill.kills; run++) {
      const dead = once(gateway, 'exit');
      gate.killAfter(Math.floor(world.random() * runBytes * 1.05), gateway);
      await ingest(gate, { run, ledger, killed: dead });
      gateway.kill('SIGKILL');
      await dead;
      gateway = await startProcess(drill, gate);
      await check(gate, drill, ledger);
    }
    // Once more, all that any run stored.
    ledger.read.clear();
    await check(gate, drill, ledger);
  } finally {
    gateway.kill('SIGKILL');
    await gate.close();
  }
  const { acknowledged, committed, lost, broken, left, missing } = ledger;
  return {
    acknowledged: acknowledged.size,
    committed: committed.size,
    lost,
    broken: [...broken],
    left: [...left],
    missing: [...missing],
  };
}

/** A port that stays, whichever gateway is behind it, and counts what goes through. */
interface Gate {
  readonly url: string;
  passedBytes(): number;
  /** From now on `bytes` go through; then the gateway is killed. */
  killAfter(bytes: number, victim: ChildProcess): void;
  leadTo(port: number): void;
  close(): Promise<void>;
}

async function openGate(): Promise<Gate> {
  let target = 0;
  let passed = 0;
  let killAt = Number.POSITIVE_INFINITY;
  let victim: ChildProcess | null = null;
  const sockets = new Set<Socket>();
  const through = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on('data', (bytes: Uint8Array) => {
      passed += bytes.length;
      if (passed >= killAt) victim?.kill('SIGKILL');
      to.write(bytes);
    });
    // Whatever ends one side ends the other.
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on('error', () => to.destroy());
  };
  const server: Server = createServer((client) => {
    const inside = connect(target, '127.0.0.1');
    through(client, inside);
    through(inside, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${port}`,
    passedBytes: () => passed,
    killAfter(bytes, process) {
      killAt = passed + bytes;
      victim = process;
    },
    leadTo(next) {
      killAt = Number.POSITIVE_INFINITY;
      target = next;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function startProcess({ serve, env }: KillDrill, gate: Gate): Promise<ChildProcess> {
  const own = ['--port', '0', '--workers', '1', '--json', '--quiet'];
  const child = spawn(process.execPath, [BINARY, 'serve', ...serve, ...own], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env, ORBWEAVER_TOKEN: TOKEN },
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { url } = JSON.parse(String(line)) as { url: string };
  gate.leadTo(Number(new URL(url).port));
  return child;
}

/** Files that are new, and others of which half is in a file of the run before. */
async function ingest(
  gate: Gate,
  { run, ledger, killed }: { run: number; ledger: Ledger; killed: Promise<unknown> },
): Promise<void> {
  const stop = new AbortController();
  void killed.then(() => stop.abort());
  const sender = async (client: OrbweaverClient, number: number): Promise<void> => {
    for (let upload = 0; upload < UPLOADS_OF_A_CLIENT; upload++) {
      const seed = 100 * run + 10 * number + upload;
      const files = [fileOf(seed, seed + 5), fileOf(seed - 100, seed)];
      const done = await client
        .upload(
          files.map((data) => ({ data })),
          {
            maxXorbBytes: LEAST_XORB_BYTES,
            signal: stop.signal,
          },
        )
        .catch((error: unknown) => {
          if (stop.signal.aborted) return null;
          throw error;
        });
      for (const [index, { fileHash }] of done?.files.entries() ?? []) {
        ledger.acknowledged.set(fileHash, files[index] as Uint8Array);
      }
      if (stop.signal.aborted) return;
    }
  };
  await Promise.all([
    commitFiles(gate, { run, ledger, stop: stop.signal }),
    ...Array.from({ length: CLIENTS }, (_, number) =>
      withClient(gate, (client) => sender(client, number)),
    ),
  ]);
}

/** One after another on one branch, a file each. */
async function commitFiles(
  gate: Gate,
  { run, ledger, stop }: { run: number; ledger: Ledger; stop: AbortSignal },
): Promise<void> {
  for (let number = 0; number < COMMITS_OF_A_RUN; number++) {
    const path = `run-${run}/${number}.txt`;
    const content = Buffer.from(textOf(path)).toString('base64');
    const body = [
      { key: 'header', value: { summary: path, description: '' } },
      { key: 'file', value: { path, content, encoding: 'base64' } },
    ];
    const lines = body.map((line) => JSON.stringify(line)).join('\n');
    try {
      const init = { method: 'POST', body: lines };
      const response = await ask(gate, `/api/models/${REPO}/commit/main`, init);
      const { success } = (await response.json()) as { readonly success?: boolean };
      if (success !== true) throw new Error(`a commit was answered with ${response.status}`);
    } catch (error) {
      if (run === 0) throw error;
      // Killed: it was made or not.
      await new Promise<void>((resolve) => {
        if (stop.aborted) resolve();
        else stop.addEventListener('abort', () => resolve(), { once: true });
      });
      return;
    }
    ledger.committed.add(path);
  }
}

/** Of some kilobytes, another one for each path. */
const textOf = (path: string): string => `${path}\n`.repeat(500);

function ask(gate: Gate, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  return fetch(gate.url + path, { ...init, headers });
}

function fileOf(first: number, second: number): Uint8Array {
  const half = (seed: number): Uint8Array =>
    generate({ kind: 'splitmix64', seed: 1000 + seed, bytes: FILE_BYTES / 2 });
  return new Uint8Array(Buffer.concat([half(first), half(second)]));
}

async function withClient(
  gate: Gate,
  use: (client: OrbweaverClient) => Promise<void>,
): Promise<void> {
  const client = await createClient({ endpoint: gate.url, token: TOKEN, workers: 1 });
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

/** All that was acknowledged is there, and after a collection nothing but what files need. */
async function check(gate: Gate, { store }: KillDrill, ledger: Ledger): Promise<void> {
  const { hasher } = await loadKernels();
  await collectGarbage(store, { hasher, graceMs: 0 });
  const files = new Set<string>();
  for await (const { fileHash } of listStoredFiles(store, { hasher })) files.add(fileHash);
  for (const hash of ledger.acknowledged.keys()) if (!files.has(hash)) ledger.lost.push(hash);
  await withClient(gate, async (client) => {
    for (const hash of files) {
      if (ledger.read.has(hash)) continue;
      ledger.read.add(hash);
      const bytes = await readAll(client, hash).catch(() => null);
      const expected = ledger.acknowledged.get(hash);
      if (bytes === null) ledger.broken.add(hash);
      else if (expected !== undefined && !bytes.equals(expected)) ledger.lost.push(hash);
    }
  });
  await checkCommits(gate, ledger);
  for await (const file of hubRoots(store))
    if (!files.has(`${file}`)) ledger.missing.add(`${file}`);
  const needed = await xorbsOf(gate, files);
  const there = new Set<string>();
  for await (const { key } of store.list('xorbs/')) {
    there.add(key);
    if (!needed.has(key)) ledger.left.add(key);
  }
  for (const key of needed) if (!there.has(key)) ledger.missing.add(key);
  for await (const { key } of store.list('shards/')) {
    const shard = decodeShard((await store.read(key)) as Uint8Array);
    const isNeeded =
      shard.files.some(({ hash }) => files.has(String(hash))) ||
      shard.xorbs.some(({ hash }) => needed.has(`xorbs/${hash}`));
    if (!isNeeded) ledger.left.add(key);
  }
}

/** All commits that were acknowledged are in the history, and the branch has the file of each. */
async function checkCommits(gate: Gate, ledger: Ledger): Promise<void> {
  const list = async (what: string): Promise<readonly Readonly<Record<string, string>>[]> => {
    const response = await ask(gate, `/api/models/${REPO}/${what}`);
    if (response.status !== 200) throw new Error(`${what}: ${await response.text()}`);
    return (await response.json()) as readonly Readonly<Record<string, string>>[];
  };
  const entries = await list('tree/main?recursive=true&limit=1000');
  const paths = entries.flatMap(({ type, path = '' }) => (type === 'file' ? [path] : []));
  const titles = (await list('commits/main?limit=1000')).map(({ title }) => title);
  for (const path of ledger.committed) {
    if (!paths.includes(path) || !titles.includes(path)) ledger.lost.push(path);
  }
  for (const path of paths) {
    if (ledger.read.has(path) || path === '.gitattributes') continue;
    ledger.read.add(path);
    const response = await ask(gate, `/${REPO}/resolve/main/${path}`);
    if ((await response.text()) !== textOf(path)) ledger.broken.add(path);
  }
}

async function readAll(client: OrbweaverClient, hash: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of client.stream(hash)) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

/** As the gateway itself says it. */
async function xorbsOf(gate: Gate, files: Iterable<string>): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  for (const file of files) {
    const response = await fetch(`${gate.url}/v2/reconstructions/${file}`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const { xorbs } = (await response.json()) as { xorbs: object };
    for (const xorb of Object.keys(xorbs)) keys.add(`xorbs/${xorb}`);
  }
  return keys;
}
