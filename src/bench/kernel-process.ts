import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { findPackage } from './peer-packages.js';
import { runProcess } from './run-process.js';
import type { KernelReport } from './types.js';

const MAIN = fileURLToPath(new URL('./run-kernels.js', import.meta.url));

/** What `run-kernels.ts` is told on its standard input. */
export interface KernelWork {
  readonly rounds: number;
  readonly timeMs: number;
  /** Module of `@huggingface/xetchunk-wasm`; null when it does not take part. */
  readonly chunkerPath: string | null;
  /** Module of `hash-wasm`; null when it does not take part. */
  readonly hashWasmPath: string | null;
}

/** Per case and round. */
const TIME_MS = 300;

/** Times all kernels in a process of their own. */
export async function runKernelProcess(options: {
  readonly rounds: number;
  readonly peers: readonly string[];
  readonly peersDir: string;
  readonly signal: AbortSignal | undefined;
}): Promise<readonly KernelReport[]> {
  const pathOf = async (name: string): Promise<string | null> =>
    options.peers.includes(name)
      ? ((await findPackage(name, options.peersDir))?.entry ?? null)
      : null;
  const work: KernelWork = {
    rounds: options.rounds,
    timeMs: TIME_MS,
    chunkerPath: await pathOf('@huggingface/xetchunk-wasm'),
    hashWasmPath: await pathOf('hash-wasm'),
  };
  const run = await runProcess({
    command: process.execPath,
    args: [MAIN],
    input: JSON.stringify(work),
    signal: options.signal,
  });
  return run.result['kernels'] as readonly KernelReport[];
}
