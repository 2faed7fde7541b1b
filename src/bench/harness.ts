import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contender, createOrbweaver, findPeers, PEER_NAMES } from './contenders.js';
import { createInputs } from './inputs.js';
import { type BenchOptions, DEFAULT_SIZE_BYTES, DEFAULT_SMALL_FILES } from './options.js';
import { defaultPeersDir } from './peer-packages.js';
import { runProcess } from './run-process.js';
import type { BenchContext } from './scenario.js';
import { openRemote, openSink, type Server } from './servers.js';
import type { WorkRequest } from './work.js';

/** What all scenarios of a run share. */
export interface Harness {
  /** Found or not. */
  readonly peers: readonly Contender[];
  /** Gives a scenario what it works with; what it has opened and written goes when it is over. */
  within<T>(scenario: (context: BenchContext) => Promise<T>): Promise<T>;
  /** Ends the servers that scenarios share. */
  close(): Promise<void>;
}

interface Closable {
  close(): Promise<void>;
}

/** Looks for the peers and gets everything ready below `folder`. @throws RangeError for a peer */
export async function createHarness(options: BenchOptions, folder: string): Promise<Harness> {
  const { sizeBytes = DEFAULT_SIZE_BYTES, smallFileCount = DEFAULT_SMALL_FILES } = options;
  const { files = [], pair, signal, server, python, peersDir = defaultPeersDir() } = options;
  const { peers: names = PEER_NAMES } = options;
  const unknown = names.filter((name) => !PEER_NAMES.includes(name));
  if (unknown.length > 0) {
    const known = PEER_NAMES.join(', ');
    throw new RangeError(`"peers" expected some of ${known}, got ${unknown.join(', ')}`);
  }
  const material = createInputs({ folder, sizeBytes, smallFileCount, files, pair });
  const orbweaver = createOrbweaver('orbweaver', options.orbweaver);
  const peers = await findPeers(names, { folder, peersDir, python });
  const servers = new Map<string, Promise<Server>>();
  const shared = (kind: 'sink' | 'remote'): Promise<Server> => {
    if (kind === 'remote' && server === undefined) throw new Error('expected your own server');
    const known =
      servers.get(kind) ?? (server && kind === 'remote' ? openRemote(server) : openSink());
    servers.set(kind, known);
    return known;
  };
  let serial = 0;

  return {
    peers,
    within: async (scenario) => {
      const own = join(folder, `scenario-${serial++}`);
      await mkdir(own);
      const opened: Closable[] = [];
      const freshPath = (name: string): string => join(own, `${name}-${serial++}`);
      const closing = async <T extends Closable>(opening: Promise<T>): Promise<T> => {
        const open = await opening;
        opened.push(open);
        return open;
      };
      const runWork: BenchContext['runWork'] = async (contender, work) => {
        const home = freshPath('home');
        await mkdir(home);
        const command = contender.command(work);
        const env = { ...command.env, ...freshCaches(home), ...trustOf(work) };
        const run = await runProcess({ ...command, env, signal });
        await rm(home, { recursive: true, force: true });
        return run;
      };
      try {
        return await scenario({ material, orbweaver, shared, freshPath, closing, runWork });
      } finally {
        for (const one of opened) await one.close();
        await rm(own, { recursive: true, force: true });
      }
    },
    close: async () => {
      for (const one of servers.values()) await (await one).close();
    },
  };
}

/** Nothing of an earlier run, and nothing told to anyone. */
function freshCaches(home: string): Record<string, string> {
  return {
    HF_HOME: join(home, 'hf'),
    HF_XET_CACHE: join(home, 'xet'),
    HF_HUB_DISABLE_TELEMETRY: '1',
  };
}

/** Peers are told of a certificate by the environment. */
function trustOf(work: WorkRequest): Record<string, string> {
  const path = 'server' in work ? work.server.caPath : null;
  return path === null ? {} : { NODE_EXTRA_CA_CERTS: path, SSL_CERT_FILE: path };
}
