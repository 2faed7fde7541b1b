import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchOptions, DEFAULT_SIZE_BYTES, DEFAULT_SMALL_FILES } from './bench-options.js';
import type { Contender, Probe } from './contender.js';
import { createOrbweaver } from './contender-orbweaver.js';
import { createInputs } from './inputs.js';
import { defaultPeersDir } from './peer-packages.js';
import { createPeers, PEER_NAMES } from './peers.js';
import { runProcess } from './run-process.js';
import type { BenchContext } from './scenario.js';
import { type ServerProcess, startServer } from './server-process.js';

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
  let serial = 0;
  const freshPath = (name: string): string => join(folder, `${name}-${serial++}`);

  const context: BenchContext = {
    sizeBytes: options.sizeBytes ?? DEFAULT_SIZE_BYTES,
    smallFileCount: options.smallFileCount ?? DEFAULT_SMALL_FILES,
    inputs: createInputs(folder),
    filePath: options.file ?? null,
    pairPaths: options.pair ?? null,
    orbweaver: createOrbweaver('orbweaver', options.orbweaver),
    signal: options.signal,
    sink: () => {
      sink ??= startServer({ kind: 'sink' });
      return sink;
    },
    freshPath,
    runWork: async (contender, work) => {
      const home = freshPath('home');
      await mkdir(home);
      try {
        const command = contender.command(work);
        const env = { ...command.env, ...freshCaches(home) };
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
      const running = await sink?.catch(() => undefined);
      await running?.stop();
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
