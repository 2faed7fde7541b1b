import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { PlacementName, TierRequest } from '../index.js';
import type { Contender } from './contender.js';

/** How orbweaver is set up for a measurement. All defaults are those of the client. */
export interface OrbweaverSettings {
  readonly workers?: number | undefined;
  readonly maxMemory?: number | undefined;
  readonly tier?: TierRequest | undefined;
  readonly placement?: PlacementName | undefined;
  /** Chunk on the calling thread (`chunkInput`), or with the pool of an upload. @default 'thread' */
  readonly chunkOn?: 'thread' | 'pool' | undefined;
}

const MAIN = fileURLToPath(new URL('./run-orbweaver.js', import.meta.url));

/** Orbweaver as a contender: its public client in a process of its own. */
export function createOrbweaver(name: string, settings: OrbweaverSettings = {}): Contender {
  return {
    name,
    abilities: ['chunk', 'upload', 'download', 'download-range', 'private-ca'],
    probe: async () => ({ found: true, version: null }),
    command: (work) => ({
      command: process.execPath,
      args: [MAIN],
      input: JSON.stringify({ work, settings }),
    }),
  };
}
