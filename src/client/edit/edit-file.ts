import {
  ChunkMap,
  composeTerms,
  dirtyBytes,
  hashOfParts,
  type NewRegion,
  type OldTerm,
  type OrderedSplice,
  orderSplices,
  placeTerms,
  type Region,
  regionsOf,
  splitTerms,
} from '../../edit/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { Scope } from '../../flow/index.js';
import { createSubtreeBuilder, type MerkleHash, type SubtreeBuilder } from '../../hash/index.js';
import type { FileChunkHashes, Term } from '../../plan/index.js';
import type { ShardFile } from '../../shard/index.js';
import { callListener } from '../listener.js';
import type { Source } from '../ports.js';
import type { UploadProgress } from '../upload/index.js';
import { storeDestination } from '../upload/store-destination.js';
import { addChunks, learnChunks } from './learn-chunks.js';
import { type OldBytes, type OldBytesParts, openOldBytes, treeOf } from './old-bytes.js';
import { regionSource } from './region-source.js';
import type { EditFileOptions, EditSummary } from './types.js';
import { countedStore, registerFile, type Store, upload, uploadRegions } from './upload-regions.js';

/**
 * Changes a stored file without reading or sending the rest of it:
 *
 *     old file   |  before  | window |     between      | window |   behind   |
 *     new file   |  before  | new chunks |  between  | new chunks |  behind   |
 *
 * The store says which windows of whole chunks lie around the changes, and the subtrees of all other
 * chunks (`edit/`). Only windows are read; they are cut anew with what is inserted. What is read is
 * proved: its chunks and the subtrees have to give the hash of the old file, or nothing is registered. The
 * new file is registered as the old terms before, between and behind the windows, and the new ones.
 *
 * A store that does not tell chunk hashes has the whole file read back, cut and deduplicated.
 *
 * @throws OrbweaverError `NOT_FOUND`; `RANGE_INVALID` for splices that do not fit into the file;
 * `INTEGRITY` when what was read is not the old file; what uploads and downloads throw
 */
export async function editFile(options: EditFileOptions): Promise<EditSummary> {
  const { clock, signal, onProgress } = options;
  const scope = new Scope({ clock, signal, what: 'the edit' });
  let last: UploadProgress | null = null;
  // Of what changed the session has stored all; the file itself is registered by the edit.
  const told = (progress: UploadProgress): unknown => {
    const { phase } = progress;
    last = null;
    const returned = onProgress?.({ ...progress, phase: phase === 'done' ? 'registering' : phase });
    last = progress;
    return returned;
  };
  try {
    const counted = onProgress === undefined ? options : { ...options, onProgress: told };
    const summary = await new Edit(counted, scope).run();
    if (last !== null) {
      const done: UploadProgress = { ...(last as UploadProgress), phase: 'done' };
      callListener(
        () => onProgress?.(done),
        () => {},
      );
    }
    return summary;
  } finally {
    scope.close();
  }
}

/** Sessions refer to chunks that the store claims to have; when it refuses those, once without. */
const ATTEMPTS: readonly { readonly globalDedup: boolean }[] = [
  { globalDedup: true },
  { globalDedup: false },
];

/** What is known of the old file, and where it changes. */
interface EditPlan {
  readonly hashes: FileChunkHashes;
  readonly terms: readonly OldTerm[];
  readonly regions: readonly Region[];
}

class Edit {
  readonly #options: EditFileOptions;
  readonly #scope: Scope;
  readonly #store: Store;
  #readBytes = 0;
  #sentBytes = 0;

  constructor(options: EditFileOptions, scope: Scope) {
    this.#options = options;
    this.#scope = scope;
    this.#store = countedStore(options.cas, (bytes) => {
      this.#sentBytes += bytes;
    });
  }

  async run(): Promise<EditSummary> {
    const terms = await this.#terms();
    const sizeBytes = terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
    const splices = orderSplices(
      this.#options.splices.map(({ offset, deleteBytes }) => ({
        offset: offset === 'end' ? sizeBytes : offset,
        deleteBytes,
      })),
      sizeBytes,
    ).filter(({ deleteBytes, index }) => {
      const insert = this.#options.splices[index]?.insert ?? null;
      return deleteBytes > 0 || (insert !== null && insert.sizeBytes !== 0);
    });
    if (splices.length === 0) return this.#summary(this.#options.fileHash, sizeBytes, false);
    const plan = sizeBytes === 0 ? null : await this.#plan(terms, splices, sizeBytes);
    if (plan === null) return this.#readBack(splices, sizeBytes);
    for (const attempt of ATTEMPTS) {
      try {
        return await this.#edit(plan, attempt);
      } catch (error) {
        const isRefused = isOrbweaverError(error) && error.code === 'REJECTED';
        if (!isRefused || !attempt.globalDedup || !this.#areReopenable()) throw error;
      }
    }
    throw new OrbweaverError('INTERNAL', 'an edit expected to end or to fail');
  }

  /** All terms of the old file. */
  async #terms(): Promise<readonly Term[]> {
    const { cas, fileHash } = this.#options;
    if (fileHash.isZero()) return [];
    const found = await this.#scope.call((signal) =>
      cas.getReconstruction(fileHash, undefined, signal),
    );
    return found?.terms ?? [];
  }

  /** Null when the store does not tell what is needed. */
  async #plan(
    terms: readonly Term[],
    splices: readonly OrderedSplice[],
    sizeBytes: number,
  ): Promise<EditPlan | null> {
    const { cas, fileHash } = this.#options;
    const dirty = dirtyBytes(splices, sizeBytes);
    const hashes = await this.#scope.call((signal) => cas.getChunkHashes(fileHash, dirty, signal));
    if (hashes === null) return null;
    if (hashes.fileSizeBytes !== sizeBytes) {
      throw new OrbweaverError(
        'PROTOCOL',
        `"fileSize" expected ${sizeBytes}, as the terms of file ${fileHash} have, got ${hashes.fileSizeBytes}`,
        { field: 'fileSize' },
      );
    }
    const placed = placeTerms(terms, hashes);
    if (placed === null) return null;
    return { hashes, terms: placed, regions: regionsOf(hashes.windows, splices, sizeBytes) };
  }

  async #edit(
    plan: EditPlan,
    { globalDedup }: { readonly globalDedup: boolean },
  ): Promise<EditSummary> {
    const options = this.#options;
    const { hasher } = options;
    const { hashes, regions } = plan;
    const windows = hashes.windows.map((window) => openOldBytes(this.#oldParts(), window));
    const trees = regions.map(() => createSubtreeBuilder(hasher, false));
    try {
      const stored = await uploadRegions(
        options,
        regions.map((region, i) => ({
          source: this.#source(region, windows),
          tree: trees[i] as SubtreeBuilder,
        })),
        { store: this.#store, scope: this.#scope, globalDedup },
      );
      this.#checkOld(plan, windows);
      const chunks = await this.#splitChunks(plan, windows);
      const changed = regions.map(({ start, end }, i): NewRegion => {
        const { terms, verification } = stored.files[i] as ShardFile;
        const tree = (trees[i] as SubtreeBuilder).finish(false);
        return { start, end, terms, verification: verification ?? [], tree };
      });
      const composed = composeTerms(hasher, { terms: plan.terms, regions: changed, chunks });
      const hash = hashOfParts(hasher, [
        ...regions.flatMap(({ firstWindow }, i) => [
          hashes.gaps[firstWindow] ?? null,
          (changed[i] as NewRegion).tree,
        ]),
        hashes.gaps[hashes.windows.length] ?? null,
      ]);
      const file = { hash, ...composed, sha256: null };
      const { xorbs } = stored;
      await registerFile(this.#store, file, { xorbs, scope: this.#scope });
      const sizeBytes = composed.terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
      return this.#summary(hash, sizeBytes, false);
    } finally {
      for (const window of windows) window.cancel();
    }
  }

  /** What was read has to be the old file: else damage would get a new name, and be right for ever. */
  #checkOld({ hashes }: EditPlan, windows: readonly OldBytes[]): void {
    const { fileHash, hasher } = this.#options;
    const parts = hashes.gaps.flatMap((gap, i) => {
      const window = windows[i];
      return window === undefined ? [gap] : [gap, treeOf({ hasher }, window.chunks())];
    });
    let got: MerkleHash | null = null;
    let cause: unknown;
    try {
      got = hashOfParts(hasher, parts);
    } catch (error) {
      cause = error;
    }
    if (got?.equals(fileHash) === true) return;
    throw new OrbweaverError(
      'INTEGRITY',
      `the bytes around the changes expected to be those of file ${fileHash}, got ${got ?? 'no tree'}`,
      { expected: fileHash.toString(), got: got === null ? null : got.toString() },
      cause,
    );
  }

  /** The chunks of the terms that are split, one by one. */
  async #splitChunks(
    { hashes, terms, regions }: EditPlan,
    windows: readonly OldBytes[],
  ): Promise<ChunkMap> {
    const chunks = new ChunkMap();
    chunks.learn(hashes);
    for (const [i, { start }] of hashes.windows.entries()) {
      addChunks(chunks, start, (windows[i] as OldBytes).chunks());
    }
    for (const { start, end } of splitTerms(terms, regions)) {
      await learnChunks(this.#oldParts(), this.#scope, {
        chunks,
        span: { start, end },
        fileSizeBytes: hashes.fileSizeBytes,
      });
    }
    return chunks;
  }

  /** The whole file is read, and uploaded like any other. */
  async #readBack(splices: readonly OrderedSplice[], sizeBytes: number): Promise<EditSummary> {
    const whole = { start: 0, end: sizeBytes };
    const windows = sizeBytes === 0 ? [] : [openOldBytes(this.#oldParts(), null)];
    const steps =
      sizeBytes === 0
        ? splices.map(({ index }) => ({ kind: 'insert' as const, index }))
        : (regionsOf([whole], splices, sizeBytes)[0] as Region).steps;
    const source = this.#source({ steps, firstWindow: 0 }, windows);
    try {
      const { results, summary } = await upload(this.#options, [{ source, tree: null }], {
        destination: storeDestination(this.#store, this.#scope),
        scope: this.#scope,
        globalDedup: true,
      });
      const [file] = results;
      if (file === undefined) throw new OrbweaverError('INTERNAL', 'one file expected, got none');
      // Files are refused one by one; there is only this one.
      for (const { error } of summary.failed) throw error;
      return this.#summary(file.fileHash, file.sizeBytes, sizeBytes > 0);
    } finally {
      for (const window of windows) window.cancel();
    }
  }

  #source(
    { steps, firstWindow }: Pick<Region, 'steps' | 'firstWindow'>,
    windows: readonly OldBytes[],
  ): Source {
    return regionSource(steps, {
      name: `${this.#options.fileHash} from window ${firstWindow}`,
      openWindow: (window) => windows[window] as OldBytes,
      inserts: this.#options.splices.map(({ insert }) => insert),
    });
  }

  #oldParts(): OldBytesParts & Pick<EditFileOptions, 'cas'> {
    const { cas, pool, hasher, clock, fileHash, budget, concurrency } = this.#options;
    return {
      ...{ cas, pool, hasher, clock, fileHash, budget, concurrency },
      onFetched: (bytes: number) => {
        this.#readBytes += bytes;
      },
    };
  }

  #areReopenable(): boolean {
    return this.#options.splices.every(({ insert }) => insert?.reopenable !== false);
  }

  #summary(fileHash: MerkleHash, sizeBytes: number, wasReadBack: boolean): EditSummary {
    const [readBytes, sentBytes] = [this.#readBytes, this.#sentBytes];
    return { fileHash, sizeBytes, readBytes, sentBytes, wasReadBack };
  }
}
