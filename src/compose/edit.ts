import {
  type EditFileOptions,
  type EditSummary,
  editFile,
  type UploadProgress,
} from '../client/index.js';
import type { Source } from '../client/ports.js';
import { MerkleHash } from '../hash/index.js';
import { createJournals } from '../io/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { PlacementName } from './client-types.js';
import type { DownloadParts } from './download.js';
import { inputList, toSource, type UploadInput } from './input.js';
import { LEAST_XORB_BYTES } from './least-xorb.js';
import { PLACEMENTS } from './placements.js';
import { resumable } from './resumable.js';
import type { UploadState } from './upload.js';
import type { UploadResume } from './upload-resume.js';

/** One change of a stored file. */
export interface ClientSplice {
  /**
   * Where, counted in the old file, whatever the other splices do; `'end'`: behind its last byte.
   */
  readonly offset: number | 'end';
  /** Bytes of the old file that go. @default 0 */
  readonly deleteBytes?: number | undefined;
  /** What takes their place: a path, bytes, a stream…, as for an upload. @default nothing */
  readonly insert?: UploadInput | undefined;
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

const SPLICE_RULES: OptionRules<ClientSplice> = {
  offset: is.required(is.either(is.integer(0), is.oneOf(['end']))),
  deleteBytes: is.integer(0),
  insert: is.either(is.text, is.object),
};

/** Changes a stored file. @throws what `OrbweaverClient.edit` does */
export async function runEdit(
  {
    cas,
    pool,
    budget,
    placement,
    state,
    concurrency,
  }: DownloadParts & { readonly placement: PlacementName },
  fileHash: string,
  splices: readonly ClientSplice[],
  options: ClientEditOptions,
): Promise<EditResult> {
  const startedAt = performance.now();
  checkOptions('edit', options, EDIT_RULES);
  for (const splice of splices) checkOptions('splice', splice, SPLICE_RULES);
  const hash = MerkleHash.parse(fileHash);
  const inserts: (Source | null)[] = [];
  for (const { insert } of splices) {
    const [input] = insert === undefined ? [] : inputList([insert]);
    inserts.push(input === undefined ? null : await toSource(input));
  }
  const memory = await memoryOf(state ?? null, { fileHash, splices, options });
  const edit: EditFileOptions = {
    memory: memory ?? undefined,
    cas,
    pool,
    budget,
    concurrency,
    hasher: pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    fileHash: hash,
    splices: splices.map(({ offset, deleteBytes = 0 }, i) => ({
      offset,
      deleteBytes,
      insert: inserts[i] ?? null,
    })),
    signal: options.signal,
    onProgress: options.onProgress,
    upload: {
      placement: PLACEMENTS[placement](),
      sendConcurrency: concurrency,
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

/** Where it is remembered; null: nowhere. */
async function memoryOf(
  state: UploadState | null,
  edit: {
    readonly fileHash: string;
    readonly splices: readonly ClientSplice[];
    readonly options: ClientEditOptions;
  },
): Promise<UploadResume | null> {
  if (state === null) return null;
  const { openUploadResume } = await import('./upload-resume.js');
  const { editFacts, optionsAgain } = await import('./resume-facts.js');
  const { endpoint, stateFolder, onProblem } = state;
  const facts = editFacts({ ...edit, endpoint, options: optionsAgain(edit.options) });
  const journals = createJournals(stateFolder);
  return openUploadResume({ journals, place: stateFolder, onProblem, facts });
}
