import { setImmediate as nextTurn } from 'node:timers/promises';
import { hexEncode } from '../bytes/index.js';
import { createUploadSession } from '../client/index.js';
import type { CasClient, ShardCache, Source } from '../client/ports.js';
import type { OrbweaverError } from '../errors.js';
import { createDiskLatency } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { ShardFile } from '../shard/index.js';
import type { WorkerPool } from '../workers/index.js';
import { createBases } from './bases.js';
import type {
  ClientUploadOptions,
  FailedUpload,
  PlacementName,
  UploadedFile,
  UploadResult,
} from './client-types.js';
import {
  givenSha256,
  type InputOptions,
  inputName,
  isReopenable,
  ownSignal,
  toSource,
  type UploadInput,
} from './input.js';
import { PLACEMENTS } from './placements.js';
import { resumable } from './resumable.js';
import { commandOf, type TransferCommand } from './transfer-command.js';
import type { UploadMemory } from './upload-memory.js';
import { failedUpload, uploadedFile } from './upload-results.js';

/** What an upload works with. */
export interface UploadParts {
  /** Null: dry runs only. */
  readonly cas: CasClient | null;
  readonly pool: WorkerPool;
  readonly cache: ShardCache | null;
  readonly placement: PlacementName;
  /** Null: nothing of an upload is remembered. */
  readonly state: UploadState | null;
  /** Xorbs sent at a time. @default what moves the most bytes */
  readonly concurrency?: number | undefined;
}

/** Where unfinished uploads are remembered. */
export interface UploadState {
  readonly stateFolder: string;
  readonly endpoint: string;
  readonly onProblem: (error: OrbweaverError) => void;
  /** What the client was told that the command line has options for. @default nothing */
  readonly options?: readonly string[] | undefined;
  /** What it is part of. @default the inputs tell the upload again */
  readonly command?: TransferCommand | undefined;
}

/** Inputs that are looked up at once: thousands of files must not wait for one disk access each. */
const LOOK_AHEAD = 32;

/** Uploads `inputs` as one session. @throws what `OrbweaverClient.upload` does */
export async function runUpload(
  parts: UploadParts,
  inputs: readonly UploadInput[],
  options: ClientUploadOptions,
): Promise<UploadResult> {
  const { cas, pool, cache } = parts;
  const {
    sha256 = false,
    expand = false,
    upToStartSize,
    rehash = false,
    maxXorbBytes,
    onFile,
    base,
    ...rest
  } = options;
  const { signal } = rest;
  const startedAt = performance.now();
  const files: UploadedFile[] = [];
  const added = { count: 0, bytes: 0 as number | null };
  const memory = await memoryOf(parts, inputs, options, added);
  const known = memory?.files ?? null;
  const session = createUploadSession({
    cas,
    cache,
    journal: memory?.resume.journal,
    onStored: known === null ? undefined : (records) => known.remember(records),
    pool,
    hasher: pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    options: {
      ...rest,
      signal,
      placement: PLACEMENTS[parts.placement](),
      xorbMaxBytes: maxXorbBytes,
      sendConcurrency: parts.concurrency,
      onFile: (file) => {
        if (onFile === undefined) files.push(uploadedFile(file));
        else onFile(uploadedFile(file));
      },
    },
  });
  const failures: FailedUpload[] = [];
  const bases = createBases(session, base);
  try {
    if (base !== undefined) await bases.learnCommon();
    if (memory !== null) {
      const trusts = inputs.every(isReopenable);
      await session.resume(memory.resume.acknowledged(), { trusts });
    }
    const add = async (
      source: Source,
      input: UploadInput,
      record: ShardFile | null,
    ): Promise<void> => {
      const wait = session.ready();
      if (wait !== null) await wait;
      const wanted = givenSha256(input) ?? sha256;
      if (record !== null && hasSha256(record, wanted)) {
        session.enqueueKnown(source, record, { sha256: wanted, signal: ownSignal(input) });
      } else {
        const learning = bases.learnFor(input);
        if (learning !== null) await learning;
        session.enqueue(source, { sha256: wanted, signal: ownSignal(input) });
      }
      added.count++;
      const { sizeBytes } = source;
      added.bytes =
        sizeBytes === undefined || added.bytes === null ? null : added.bytes + sizeBytes;
    };
    if (expand) {
      const { addZipEntries } = await import('./expand-zip.js');
      for (const input of inputs) {
        try {
          const add = { sha256, signal: ownSignal(input) };
          await addZipEntries(input, (entry) => session.add(entry, add), signal);
        } catch (error) {
          failures.push(failedUpload(inputName(input), error));
        }
      }
    } else {
      const identify = known !== null;
      const sourceOptions = { latency: createDiskLatency(), upToStartSize, identify };
      for (let start = 0; start < inputs.length; start += LOOK_AHEAD) {
        const group = inputs.slice(start, start + LOOK_AHEAD);
        const sources = await sourcesOf(group, sourceOptions);
        const records = rehash ? [] : ((await known?.find(sources.map(identityOf))) ?? []);
        for (const [i, source] of sources.entries()) {
          const input = group[i] as UploadInput;
          if (source instanceof Error) failures.push(failedUpload(inputName(input), source));
          else await add(source, input, records[i] ?? null);
        }
        // Blocking calls let nobody else in: workers want their next slab, and responses are there.
        await nextTurn();
      }
    }
    const summary = await session.finish();
    await memory?.done();
    return {
      files,
      failed: [...failures, ...summary.failed.map(({ name, error }) => failedUpload(name, error))],
      xorbCount: summary.xorbCount,
      xorbBytes: summary.xorbBytes,
      shardCount: summary.shardCount,
      shardBytes: summary.shardBytes,
      wallMs: performance.now() - startedAt,
      ...(bases.outcomes.length === 0 ? {} : { bases: bases.outcomes }),
      ...(summary.listenerError === undefined ? {} : { listenerError: summary.listenerError }),
    };
  } catch (error) {
    session.abort(error);
    throw resumable(error, (await memory?.interrupted()) ?? null);
  }
}

/** The memory of this upload; null: it has none. */
async function memoryOf(
  { state, placement }: UploadParts,
  inputs: readonly UploadInput[],
  uploadOptions: ClientUploadOptions,
  added: { readonly count: number; readonly bytes: number | null },
): Promise<UploadMemory | null> {
  const { dryRun, sha256, expand, upToStartSize, maxXorbBytes, base } = uploadOptions;
  if (state === null || dryRun === true) return null;
  const { openUploadMemory } = await import('./upload-memory.js');
  const { folderFacts, optionsAgain, uploadFacts } = await import('./resume-facts.js');
  const options = [
    ...(sha256 === true ? ['--sha256'] : []),
    ...(expand === true ? ['--expand'] : []),
    ...(upToStartSize === true ? ['--allow-append'] : []),
    ...(placement === 'balanced' ? [] : [`--placement=${placement}`]),
  ];
  const more = [...optionsAgain({ maxXorbBytes, base }), ...(state.options ?? [])];
  const sizeBytes = (): number | null => (added.count === inputs.length ? added.bytes : null);
  const { endpoint } = state;
  const command = state.command ?? commandOf(uploadOptions);
  const facts =
    command === undefined
      ? uploadFacts({ endpoint, inputs, options: [...options, ...more], sizeBytes })
      : folderFacts(endpoint, command, more, sizeBytes);
  return openUploadMemory({ ...state, facts });
}

function identityOf(source: Source | Error): Uint8Array | undefined {
  return source instanceof Error ? undefined : source.identity;
}

/** Whether a record holds the SHA-256 that is wanted, if one is. */
function hasSha256({ sha256 }: ShardFile, wanted: boolean | string): boolean {
  if (wanted === false) return true;
  return sha256 !== null && (wanted === true || hexEncode(sha256) === wanted.toLowerCase());
}

/**
 * The sources of inputs, or why there is none, in order; what has to be waited for is looked up side
 * by side.
 */
function sourcesOf(
  inputs: readonly UploadInput[],
  options: InputOptions,
): (Source | Error)[] | Promise<(Source | Error)[]> {
  let waits = false;
  const found = inputs.map((input) => {
    try {
      const source = toSource(input, options);
      if (!(source instanceof Promise)) return source;
      waits = true;
      return source.catch((error: unknown) => error as Error);
    } catch (error) {
      return error as Error;
    }
  });
  return waits ? Promise.all(found) : (found as (Source | Error)[]);
}
