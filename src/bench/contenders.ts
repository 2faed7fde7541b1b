import { execFile } from 'node:child_process';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { PlacementName, TierRequest } from '../index.js';
import { NATIVE_DRIVER } from './native-driver.js';
import { findPackage } from './peer-packages.js';
import type { ProcessCommand } from './run-process.js';
import type { WorkRequest } from './work.js';

/** Who can be measured: orbweaver with some settings, or a peer. */
export interface Contender {
  /** As it stands in reports and after `--peers`. */
  readonly name: string;
  /** Of a peer that was found; null for us. */
  readonly version: string | null;
  /** Why a peer cannot take part: it was not found. Null when it can. */
  readonly missing: string | null;
  /** What it can do: it takes part in the scenarios that ask for some of these. */
  readonly abilities: readonly Ability[];
  /** Of a package: what to import. */
  readonly moduleUrl?: string;
  /** The process that does this work. */
  command(work: WorkRequest): ProcessCommand;
}

/**
 * A kind of work: `download-range` is a download of a part, `private-ca` any work over TLS with a
 * certificate that it has to be told of.
 */
export type Ability = WorkRequest['op'] | 'download-range' | 'private-ca';

/** How orbweaver is set up for a measurement. All defaults are those of the client. */
export interface OrbweaverSettings {
  readonly workers?: number | undefined;
  readonly maxMemory?: number | undefined;
  readonly tier?: TierRequest | undefined;
  readonly placement?: PlacementName | undefined;
  /** Chunk on the calling thread (`chunkInput`), or with the pool of an upload. @default 'thread' */
  readonly chunkOn?: 'thread' | 'pool' | undefined;
}

/** Where peers are looked for, and where their drivers may lie. */
export interface PeerPlaces {
  readonly folder: string;
  readonly peersDir: string;
  readonly python: string | undefined;
}

const NATIVE = 'hf_xet';
const MOVES: readonly Ability[] = ['upload', 'download', 'download-range'];
const PACKAGES: Readonly<Record<string, readonly Ability[]>> = {
  '@huggingface/hub': [...MOVES, 'private-ca'],
  '@huggingface/xetchunk-wasm': ['chunk'],
  'hash-wasm': ['chunk'],
};

/** Names of all peers, as `peers` and `--peers` take them. */
export const PEER_NAMES: readonly string[] = [NATIVE, ...Object.keys(PACKAGES)];

/** The peers of these names, found or not. */
export function findPeers(
  names: readonly string[],
  places: PeerPlaces,
): Promise<readonly Contender[]> {
  const find = (name: string): Promise<Contender> =>
    name === NATIVE ? findNative(places) : findPackagePeer(name, places);
  return Promise.all(names.map(find));
}

/** Orbweaver as a contender: its public client in a process of its own. */
export function createOrbweaver(name: string, settings: OrbweaverSettings = {}): Contender {
  return {
    name,
    version: null,
    missing: null,
    abilities: ['chunk', ...MOVES, 'private-ca', 'ingest'],
    command: (work) => nodeProgram('run-orbweaver', { work, settings }),
  };
}

/** The command of a program of this folder. */
export function nodeProgram(program: string, input: object): ProcessCommand {
  const path = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
  return { command: process.execPath, args: [path], input: JSON.stringify(input) };
}

async function findPackagePeer(name: string, { peersDir }: PeerPlaces): Promise<Contender> {
  const found = await findPackage(name, peersDir);
  const entry = found === null ? '' : pathToFileURL(found.entry).href;
  // It only hashes, so it takes part as our portable tier: it hashes, readable code cuts.
  const portable = name === 'hash-wasm' ? createOrbweaver(name, { tier: 'portable' }) : null;
  return {
    name,
    version: found?.version ?? null,
    missing: found === null ? 'not installed; --install-peers installs it' : null,
    abilities: PACKAGES[name] ?? [],
    moduleUrl: entry,
    command: (work) => portable?.command(work) ?? nodeProgram('run-peer', { work, entry }),
  };
}

const CHECK = `import importlib.metadata, hf_xet
hf_xet.XetSession
print(importlib.metadata.version("hf_xet"))`;

/** The native client, through its Python package. */
async function findNative({ folder, python }: PeerPlaces): Promise<Contender> {
  const script = join(folder, 'native-driver.py');
  await writeFile(script, NATIVE_DRIVER);
  const tried = await pythons(python);
  let version: string | null = null;
  let command = '';
  for (command of tried) {
    const check = await promisify(execFile)(command, ['-c', CHECK]).catch(() => null);
    version = check?.stdout.trim() ?? null;
    if (version !== null) break;
  }
  const reason = `${tried.join(' or ')} cannot import hf_xet; set ORBWEAVER_BENCH_PYTHON to one that can`;
  return {
    name: NATIVE,
    version,
    missing: version === null ? reason : null,
    // No private-ca: it trusts the authorities it was built with, and tries again for minutes.
    abilities: ['chunk', ...MOVES],
    command: (work) => ({ command, args: [script], input: JSON.stringify(work) }),
  };
}

/** The interpreter that was named, or the usual places. */
async function pythons(python = process.env['ORBWEAVER_BENCH_PYTHON'] ?? ''): Promise<string[]> {
  if (python !== '') return [python];
  const [inside, everywhere] =
    process.platform === 'win32' ? ['Scripts/python.exe', 'python'] : ['bin/python', 'python3'];
  const interop = join(process.cwd(), '.cache', 'interop', inside);
  const isThere = await access(interop).then(
    () => true,
    () => false,
  );
  return isThere ? [interop, everywhere] : [everywhere];
}
