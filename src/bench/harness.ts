import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BenchOptions,
  type BenchServer,
  DEFAULT_SIZE_BYTES,
  DEFAULT_SMALL_FILES,
} from './bench-options.js';
import type { Contender, Probe } from './contender.js';
import { createOrbweaver } from './contender-orbweaver.js';
import { createInputs } from './inputs.js';
import { defaultPeersDir } from './peer-packages.js';
import { createPeers, PEER_NAMES } from './peers.js';
import { runProcess } from './run-process.js';
import type { BenchContext } from './scenario.js';
import { type ServerCounts, type ServerProcess, startServer } from './server-process.js';
import type { WorkRequest } from './work-request.js';

/** Of a server elsewhere neither bytes nor time are known. */
const NOTHING_SEEN: ServerCounts = {
  requests: 0,
  wireUpBytes: 0,
  wireDownBytes: 0,
  serverCpuMs: 0,
  takenBytes: 0,
  peakBytes: 0,
};

/** A peer, and whether it was found. */
export interface ProbedPeer {
  readonly contender: Contender;
  readonly probe: Probe;
}

/** What all scenarios of a run share. */
export interface Harness {
  readonly context: BenchContext;
  readonly peersDir: string;
  readonly peers: readonly ProbedPeer[];
  close(): Promise<void>;
}

/** Looks for the peers and gets everything ready below `folder`. @throws RangeError for a peer */
export async function createHarness(options: BenchOptions, folder: string): Promise<Harness> {
  const peersDir = options.peersDir ?? defaultPeersDir();
  const peers = await probePeers(options, { folder, peersDir });
  let sink: Promise<ServerProcess> | undefined;
  let remote: Promise<ServerProcess> | undefined;
  let serial = 0;
  const freshPath = (name: string): string => join(folder, `${name}-${serial++}`);

  const context: BenchContext = {
    sizeBytes: options.sizeBytes ?? DEFAULT_SIZE_BYTES,
    smallFileCount: options.smallFileCount ?? DEFAULT_SMALL_FILES,
    inputs: createInputs(folder),
    filePaths: options.files ?? [],
    pairPaths: options.pair ?? null,
    orbweaver: createOrbweaver('orbweaver', options.orbweaver),
    signal: options.signal,
    sink: () => {
      sink ??= startServer({ kind: 'sink' });
      return sink;
    },
    remote: () => {
      if (options.server === undefined) throw new Error('expected a server of your own');
      remote ??= startRemote(options.server);
      return remote;
    },
    freshPath,
    runWork: async (contender, work) => {
      const home = freshPath('home');
      await mkdir(home);
      try {
        const command = contender.command(work);
        const env = { ...command.env, ...freshCaches(home), ...trustOf(work) };
        return await runProcess({ ...command, env, signal: options.signal });
      } finally {
        await rm(home, { recursive: true, force: true });
      }
    },
  };
  return {
    context,
    peersDir,
    peers,
    close: async () => {
      for (const server of [sink, remote]) await (await server?.catch(() => undefined))?.stop();
    },
  };
}

/** A Hub in front of a server that runs already; what that one does is not seen. */
async function startRemote(server: BenchServer): Promise<ServerProcess> {
  const { endpoint, token, caPath = null } = server;
  const hub = await startServer({ kind: 'remote', endpoint, token });
  return { ...hub, target: { ...hub.target, caPath }, counts: async () => NOTHING_SEEN };
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
  const path = work.op === 'chunk' ? null : work.server.caPath;
  return path === null ? {} : { NODE_EXTRA_CA_CERTS: path, SSL_CERT_FILE: path };
}

async function probePeers(
  options: BenchOptions,
  { folder, peersDir }: { readonly folder: string; readonly peersDir: string },
): Promise<readonly ProbedPeer[]> {
  const wanted = options.peers ?? PEER_NAMES;
  const unknown = wanted.filter((name) => !PEER_NAMES.includes(name));
  if (unknown.length > 0) {
    const known = PEER_NAMES.join(', ');
    throw new RangeError(`"peers" expected some of ${known}, got ${unknown.join(', ')}`);
  }
  const peers: ProbedPeer[] = [];
  for (const contender of createPeers({ folder, peersDir, python: options.python })) {
    if (!wanted.includes(contender.name)) continue;
    peers.push({ contender, probe: await contender.probe() });
  }
  return peers;
}
