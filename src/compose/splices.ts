import {
  type EditFileOptions,
  type EditSummary,
  editFile,
  type UploadProgress,
} from '../client/index.js';
import type { CasClient, Source } from '../client/ports.js';
import type { Budget } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { WorkerPool } from '../workers/web.js';
import type { PlacementName } from './client-types.js';
import { LEAST_XORB_BYTES } from './least-xorb.js';
import { PLACEMENTS } from './placements.js';
import { resumable } from './resumable.js';
import type { UploadResume } from './upload-resume.js';

/** What edits have in common in Node and in a page. */

/** One change of a stored file; `Input`: what can be inserted. */
export interface Splice<Input> {
  /**
   * Where, counted in the old file, whatever the other splices do; `'end'`: behind its last byte.
   */
  readonly offset: number | 'end';
  /** Bytes of the old file that go. @default 0 */
  readonly deleteBytes?: number | undefined;
  /** What takes their place: a path, bytes, a stream…, as for an upload. @default nothing */
  readonly insert?: Input | undefined;
}

/** Options of an edit. */
export interface ClientEditOptions {
  /** Most bytes of a xorb, as of an upload: at least 1 MiB. @default 67108864 */
  readonly maxXorbBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * As of an upload: `readBytes` and `totalBytes` are those that are cut anew. A listener that throws is
   * not called again.
   */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** What an edit made, and what it cost. */
export interface EditResult {
  /** 64 digits: the hash that an upload of the changed file would have. */
  readonly fileHash: string;
  readonly sizeBytes: number;
  /** Bytes of xorbs that were read from the store. */
  readonly readBytes: number;
  /** Bytes of xorbs and shards that were sent. */
  readonly sentBytes: number;
  /** The whole file was read, because the store does not tell the hashes of its chunks. */
  readonly wasReadBack: boolean;
  readonly wallMs: number;
}

const EDIT_RULES: OptionRules<ClientEditOptions> = {
  maxXorbBytes: is.integer(LEAST_XORB_BYTES),
  signal: is.signal,
  onProgress: is.callback,
};

const SPLICE_RULES: OptionRules<Splice<unknown>> = {
  offset: is.required(is.either(is.integer(0), is.oneOf(['end']))),
  deleteBytes: is.integer(0),
  insert: is.either(is.text, is.object),
};

/** @throws TypeError, RangeError, OrbweaverError `HASH_INVALID` */
export function checkEdit(
  fileHash: string,
  splices: readonly Splice<unknown>[],
  options: ClientEditOptions,
): void {
  checkOptions('edit', options, EDIT_RULES);
  for (const splice of splices) checkOptions('splice', splice, SPLICE_RULES);
  MerkleHash.parse(fileHash);
}

/** What an edit works with. */
export interface EditParts {
  readonly cas: CasClient;
  readonly pool: WorkerPool;
  readonly budget?: Budget | undefined;
  readonly concurrency?: number | undefined;
  readonly placement: PlacementName;
  /** Where it is remembered; null: nowhere. */
  readonly memory: UploadResume | null;
}

/** An edit that was checked, and whose inputs are sources. @throws what `OrbweaverClient.edit` does */
export async function applySplices(
  { memory, placement, ...parts }: EditParts,
  fileHash: string,
  splices: readonly Splice<Source>[],
  options: ClientEditOptions,
): Promise<EditResult> {
  const startedAt = performance.now();
  const edit: EditFileOptions = {
    ...parts,
    memory: memory ?? undefined,
    hasher: parts.pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    fileHash: MerkleHash.parse(fileHash),
    splices: splices.map(({ offset, deleteBytes = 0, insert = null }) => ({
      offset,
      deleteBytes,
      insert,
    })),
    signal: options.signal,
    onProgress: options.onProgress,
    upload: {
      placement: PLACEMENTS[placement](),
      sendConcurrency: parts.concurrency,
      xorbMaxBytes: options.maxXorbBytes,
    },
  };
  let summary: EditSummary;
  try {
    summary = await editFile(edit);
  } catch (error) {
    throw resumable(error, (await memory?.interrupted()) ?? null);
  }
  await memory?.done();
  return {
    ...summary,
    fileHash: summary.fileHash.toString(),
    wallMs: performance.now() - startedAt,
  };
}
