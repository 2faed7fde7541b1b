import { rm, stat } from 'node:fs/promises';
import type { Contender } from './contender.js';
import type { ProcessRun } from './run-process.js';
import type { BenchContext } from './scenario.js';
import type { ServerProcess } from './server-process.js';
import type { Sample } from './types.js';
import { isCopyOf } from './work-folder.js';
import type { DownloadWork, WorkRequest } from './work-request.js';

/** One measured run against a server. `storedBytes` is what the server took unless it is given. */
export async function measure(
  context: BenchContext,
  contender: Contender,
  work: WorkRequest,
  server: ServerProcess | null,
): Promise<{ readonly sample: Sample; readonly run: ProcessRun }> {
  await server?.reset();
  const run = await context.runWork(contender, work);
  const counts = await server?.counts();
  const sample: Sample = {
    wallMs: run.wallMs,
    cpuMs: run.cpuMs,
    peakBytes: run.peakBytes,
    wireUpBytes: counts?.wireUpBytes ?? 0,
    wireDownBytes: counts?.wireDownBytes ?? 0,
    requests: counts?.requests ?? 0,
    storedBytes: counts?.takenBytes ?? 0,
    serverCpuMs: counts?.serverCpuMs ?? 0,
  };
  return { sample, run };
}

/** A measured download whose bytes are compared with the original afterwards. */
export async function measureDownload(
  context: BenchContext,
  contender: Contender,
  options: {
    readonly server: ServerProcess;
    readonly hash: string;
    readonly original: string;
    readonly range: DownloadWork['range'];
  },
): Promise<Sample> {
  const { server, hash, original, range } = options;
  const path = context.freshPath('download');
  const sizeBytes = (await stat(original)).size;
  try {
    const work: WorkRequest = {
      op: 'download',
      server: server.target,
      hash,
      sizeBytes,
      path,
      range,
    };
    const { sample } = await measure(context, contender, work, server);
    const { start, end } = range ?? { start: 0, end: sizeBytes };
    if (!(await isCopyOf(path, { path: original, start, end }))) {
      throw new Error('the downloaded bytes are not those of the original');
    }
    return sample;
  } finally {
    await rm(path, { force: true });
  }
}

/** Holds the hashes of the same input against each other, whoever computed them. */
export interface HashCheck {
  /** @throws Error when the program told hashes and they are not those of the others */
  check(run: ProcessRun): void;
}

export function createHashCheck(): HashCheck {
  let expected: string | null = null;
  return {
    check: (run) => {
      const { hashes } = run.result;
      if (!Array.isArray(hashes) || hashes.length === 0) return;
      const text = JSON.stringify(hashes);
      expected ??= text;
      if (text !== expected) throw new Error('its file hashes are not those of the others');
    },
  };
}

/** The hash of the only file of a run. */
export function onlyHash(run: ProcessRun): string {
  const hash: unknown = Array.isArray(run.result['hashes']) ? run.result['hashes'][0] : undefined;
  if (typeof hash !== 'string') throw new Error('the run named no hash');
  return hash;
}
