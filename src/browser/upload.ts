import { createUploadSession } from '../client/index.js';
import type { CasClient } from '../client/ports.js';
import type { PlacementName, UploadBase } from '../compose/client-types.js';
import { PLACEMENTS } from '../compose/placements.js';
import { resumable } from '../compose/resumable.js';
import { failedUpload, uploadedFile } from '../compose/upload-results.js';
import { MerkleHash } from '../hash/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { WorkerPool } from '../workers/web.js';
import { sourceOf } from './inputs.js';
import { mayTrust, type PageMemory } from './memory.js';
import type {
  BrowserNamedInput,
  BrowserUploadOptions,
  UploadedFile,
  UploadResult,
} from './types.js';

/** What an upload works with. */
export interface PageUploadParts {
  /** Null: dry runs only. */
  readonly cas: CasClient | null;
  readonly pool: WorkerPool;
  /** Null: nothing is remembered. */
  readonly memory: PageMemory | null;
  readonly placement: PlacementName;
  readonly concurrency: number | undefined;
}

/** Uploads `inputs` as one session. @throws what `BrowserClient.upload` does */
export async function runPageUpload(
  parts: PageUploadParts,
  inputs: readonly BrowserNamedInput[],
  options: BrowserUploadOptions,
): Promise<UploadResult> {
  const { cas, pool, placement, concurrency } = parts;
  const memory = options.dryRun === true ? null : parts.memory;
  const { sha256 = false, maxXorbBytes, base = [], onFile, ...rest } = options;
  const startedAt = performance.now();
  const files: UploadedFile[] = [];
  const resume = (await memory?.resume(inputs)) ?? null;
  const session = createUploadSession({
    cas,
    cache: memory?.cache ?? null,
    journal: resume?.journal,
    pool,
    hasher: pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    options: {
      ...rest,
      placement: PLACEMENTS[placement](),
      xorbMaxBytes: maxXorbBytes,
      sendConcurrency: concurrency,
      onFile: (file) => {
        if (onFile === undefined) files.push(uploadedFile(file));
        else onFile(uploadedFile(file));
      },
    },
  });
  const bases: UploadBase[] = [];
  const learn = async (hash: string): Promise<void> => {
    const { fileHash, ...rest } = await session.addBase(MerkleHash.parse(hash));
    const { knownChunks, readBytes, problem } = rest;
    const text = fileHash?.toString() ?? null;
    bases.push({ base: hash, fileHash: text, knownChunks, readBytes, problem });
  };
  try {
    for (const hash of typeof base === 'string' ? [base] : base) await learn(hash);
    if (resume !== null) {
      await session.resume(resume.acknowledged(), { trusts: mayTrust(inputs) });
    }
    for (const input of inputs) {
      await session.ready();
      if (input.base !== undefined) await learn(input.base);
      session.enqueue(sourceOf(input), { sha256: input.sha256 ?? sha256, signal: input.signal });
    }
    const summary = await session.finish();
    await resume?.done();
    return {
      files,
      failed: summary.failed.map(({ name, error }) => failedUpload(name, error)),
      xorbCount: summary.xorbCount,
      xorbBytes: summary.xorbBytes,
      shardCount: summary.shardCount,
      shardBytes: summary.shardBytes,
      wallMs: performance.now() - startedAt,
      ...(bases.length === 0 ? {} : { bases }),
      ...(summary.listenerError === undefined ? {} : { listenerError: summary.listenerError }),
    };
  } catch (error) {
    session.abort(error);
    throw resumable(error, (await resume?.interrupted()) ?? null);
  }
}
