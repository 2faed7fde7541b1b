import type { Contender } from './contender.js';
import { createNativeContender } from './contender-native.js';
import { createOrbweaver } from './contender-orbweaver.js';
import { createChunkerContender, createHubContender } from './contender-packages.js';
import { findPackage } from './peer-packages.js';

/** Where peers are looked for, and where their drivers may lie. */
export interface PeerPlaces {
  readonly folder: string;
  readonly peersDir: string;
  readonly python: string | undefined;
}

/** Names of all peers, as `peers` and `--peers` take them. */
export const PEER_NAMES: readonly string[] = [
  'hf_xet',
  '@huggingface/hub',
  '@huggingface/xetchunk-wasm',
  'hash-wasm',
];

/** All peers that the harness knows, found or not. */
export function createPeers({ folder, peersDir, python }: PeerPlaces): Contender[] {
  return [
    createNativeContender(folder, python),
    createHubContender(peersDir),
    createChunkerContender(peersDir),
    createHashWasm(peersDir),
  ];
}

/** hash-wasm only hashes, so it takes part as our portable tier: it hashes, readable code cuts. */
function createHashWasm(peersDir: string): Contender {
  return {
    ...createOrbweaver('hash-wasm', { tier: 'portable' }),
    abilities: ['chunk'],
    probe: async () => {
      const found = await findPackage('hash-wasm', peersDir);
      return found === null
        ? { found: false, reason: 'not installed' }
        : { found: true, version: found.version };
    },
  };
}
