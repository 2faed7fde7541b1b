import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Contender, Probe } from './contender.js';
import { findPackage } from './peer-packages.js';
import type { ProcessCommand } from './run-process.js';
import type { WorkRequest } from './work-request.js';

const HUB_MAIN = fileURLToPath(new URL('./run-hub.js', import.meta.url));
const CHUNKER_MAIN = fileURLToPath(new URL('./run-chunker.js', import.meta.url));

/** The JavaScript client, driven through its public `uploadFiles` and `downloadFile`. */
export function createHubContender(peersDir: string): Contender {
  return {
    ...packageContender('@huggingface/hub', HUB_MAIN, peersDir),
    abilities: ['upload', 'download', 'download-range', 'private-ca'],
  };
}

/** The JavaScript client's chunker. */
export function createChunkerContender(peersDir: string): Contender {
  return {
    ...packageContender('@huggingface/xetchunk-wasm', CHUNKER_MAIN, peersDir),
    abilities: ['chunk'],
  };
}

function packageContender(
  name: string,
  main: string,
  peersDir: string,
): Pick<Contender, 'name' | 'probe' | 'command'> {
  let entry: string | null = null;
  return {
    name,
    probe: async (): Promise<Probe> => {
      const found = await findPackage(name, peersDir);
      if (found === null) {
        return { found: false, reason: 'not installed; --install-peers installs it' };
      }
      entry = pathToFileURL(found.entry).href;
      return { found: true, version: found.version };
    },
    command: (work: WorkRequest): ProcessCommand => ({
      command: process.execPath,
      args: [main],
      input: JSON.stringify({ work, settings: { entry } }),
    }),
  };
}
