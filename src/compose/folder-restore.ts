import { type DownloadProgress, downloadBatch, downloadFile } from '../client/downloads.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type {
  DirectoryEntry,
  FileEntry,
  FolderEntry,
  ManifestTotals,
  NameRules,
} from '../folder/index.js';
import type { RestoreTree, Spool } from '../io/index.js';
import type { DownloadParts } from './download.js';
import type { DownloadMemory } from './download-memory.js';
import { EntryFailures } from './entry-failures.js';
import type { Narrator, Standing } from './folder-begin.js';
import { type FetchWorld, FolderFetcher, type Mover } from './folder-fetch.js';
import { readSpool } from './folder-manifest.js';
import type { FailedEntry, FolderDownloadOptions, FolderDownloadProgress } from './folder-types.js';
import { inLanes } from './in-lanes.js';
import { isPresent } from './present-files.js';
import { BATCH_BYTES, BATCH_FILES, SMALL_FILE_BYTES, WRITES } from './small-files.js';

/** Entries of a batch; more of them than files, where many have the same content. */
const BATCH_ENTRIES = 4000;

/** Small files that may be there are looked at together. */
const LOOKED_AT = 256;

/** What a {@link Restore} works with. */
export interface RestoreParts {
  readonly parts: DownloadParts;
  readonly tree: RestoreTree;
  readonly options: Pick<FolderDownloadOptions, 'existing' | 'resume' | 'signal' | 'onProgress'>;
  readonly totals: ManifestTotals;
  readonly memory: DownloadMemory | null;
  /** Other versions of a large file that it may take chunks from. */
  readonly seedsOf: FetchWorld['seedsOf'];
  /** Tells the listener. */
  readonly narrator: Narrator;
  /** How bytes come, or, of a plan, what they would cost. @default they come */
  readonly mover?: Mover;
  /** What goes on while files are looked at and fetched. @default 'fetching' */
  readonly phase?: 'planning' | 'fetching';
}

const COMING: Mover = { file: downloadFile, batch: downloadBatch };

/** Files with the same content, by hash. */
type Batch = Map<string, FileEntry[]>;

/** Restores what a manifest lists; see `folder-download.ts`. */
export class Restore {
  readonly #failures = new EntryFailures(() => this.#fatal !== null);
  readonly counters = {
    fileCount: 0,
    folderCount: 0,
    symlinkCount: 0,
    sizeBytes: 0,
    keptCount: 0,
    unchangedCount: 0,
    resumedBytes: 0,
    seededBytes: 0,
    fetchedBytes: 0,
    requestCount: 0,
  };
  readonly #parts: DownloadParts;
  readonly #fetcher: FolderFetcher;
  readonly #tree: RestoreTree;
  readonly #options: RestoreParts['options'];
  readonly #totals: ManifestTotals;
  readonly #memory: DownloadMemory | null;
  readonly #abort = new AbortController();
  readonly #jobs = new Set<Promise<void>>();
  readonly #narrator: Narrator;
  #phase: FolderDownloadProgress['phase'];
  /** Large files on their way. */
  readonly #moving = new Map<FileEntry, DownloadProgress>();
  /** Files left as they were. */
  #kept = { fileCount: 0, sizeBytes: 0 };
  #file: FolderDownloadProgress['file'] = null;
  #shownBytes = 0;
  #fatal: { readonly error: unknown } | null = null;
  #batch: Batch = new Map();
  #batchBytes = 0;
  #batchEntries = 0;
  /** With its `/`: a folder that could not be made, and so nothing in it. */
  #lost: string | null = null;
  /** With its `/`, empty for all: a folder that is new, so that nothing is in it. */
  #fresh: string | null = null;
  /** Small files of which something may be there. */
  #doubtful: FileEntry[] = [];

  constructor({ parts, tree, options, totals, memory, seedsOf, ...given }: RestoreParts) {
    const { narrator, mover = COMING, phase = 'fetching' } = given;
    this.#parts = parts;
    this.#tree = tree;
    this.#options = options;
    this.#totals = totals;
    this.#memory = memory;
    this.#phase = phase;
    this.#narrator = narrator;
    narrator.tellOf(() => this.#standing());
    if (tree.isNew) this.#fresh = '';
    this.#fetcher = new FolderFetcher({
      parts,
      tree,
      ...{ mover, seedsOf },
      resume: options.resume !== false,
      signal: this.#abort.signal,
      counters: this.counters,
      attempt: (entry, run) => this.#attempt(entry, run),
      moved: (entry, progress) => this.#moved(entry, progress),
      done: (entry) => this.#done(entry),
    });
  }

  /** What could not be restored. */
  get failed(): readonly FailedEntry[] {
    return this.#failures.list;
  }

  async run(spool: Spool, rules: NameRules): Promise<void> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#end(signal?.reason);
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const entry of readSpool(spool, rules)) {
        if (this.#fatal !== null) break;
        await this.#take(entry);
      }
      await this.#lookAtDoubtful();
      await this.#flush();
      await Promise.all(this.#jobs);
      this.#enter('verifying');
      if (this.#fatal === null) await this.#finishFolders(spool, rules);
      if (this.#fatal !== null) throw this.#reason();
      this.#enter('done');
    } finally {
      signal?.removeEventListener('abort', onAbort);
      // Nobody writes below a folder that the caller believes to be at rest.
      this.#abort.abort();
      await Promise.all(this.#jobs);
    }
  }

  async #take(entry: FolderEntry): Promise<void> {
    if (this.#lost !== null) {
      if (entry.path.startsWith(this.#lost)) return;
      this.#lost = null;
    }
    if (entry.type === 'folder') {
      const made = await this.#attempt(entry, async () => {
        const isNew = await this.#tree.makeFolder(entry);
        if (isNew && !this.#isFresh(entry)) this.#fresh = `${entry.path}/`;
      });
      if (made) this.counters.folderCount++;
      else this.#lost = `${entry.path}/`;
      return;
    }
    if (this.#options.existing === 'keep' && (await this.#isKept(entry))) return;
    if (entry.type === 'symlink') {
      const made = await this.#attempt(entry, () => this.#tree.makeSymlink(entry));
      if (made) this.counters.symlinkCount++;
    } else if (entry.sizeBytes > SMALL_FILE_BYTES) {
      const isFresh = this.#isFresh(entry);
      await this.#start(async () => {
        if (isFresh || !(await this.#isThere(entry))) await this.#fetcher.single(entry);
      });
    } else if (this.#isFresh(entry)) await this.#addToBatch(entry);
    else {
      this.#doubtful.push(entry);
      if (this.#doubtful.length >= LOOKED_AT) await this.#lookAtDoubtful();
    }
  }

  #isFresh({ path }: FolderEntry): boolean {
    return this.#fresh !== null && path.startsWith(this.#fresh);
  }

  /** What is there need not be fetched. */
  async #lookAtDoubtful(): Promise<void> {
    const entries = this.#doubtful;
    this.#doubtful = [];
    const isThere = new Set<FileEntry>();
    await inLanes(entries, { lanes: WRITES, signal: this.#abort.signal }, async (entry) => {
      if (await this.#isThere(entry)) isThere.add(entry);
    });
    if (this.#fatal !== null) return;
    for (const entry of entries) if (!isThere.has(entry)) await this.#addToBatch(entry);
  }

  /** Whether a file is there with the right content; then it is done. */
  async #isThere(entry: FileEntry): Promise<boolean> {
    if (this.#options.resume === false) return false;
    const file = await this.#tree.openPresent(entry).catch(() => null);
    if (file === null) return false;
    try {
      const onRead = (readBytes: number): void => {
        this.#file = { name: entry.path, readBytes, sizeBytes: entry.sizeBytes };
        this.#narrator.tell();
      };
      const present = { entry, file, onRead };
      if (!(await isPresent(this.#parts.pool, present, this.#abort.signal))) return false;
      // What cannot be given its rights is written anew, by which it belongs to this user.
      const isKept = await file.keep().then(
        () => true,
        () => false,
      );
      if (!isKept) return false;
    } finally {
      await file.close().catch(() => {});
    }
    this.counters.unchangedCount++;
    this.counters.resumedBytes += entry.sizeBytes;
    this.#done(entry);
    return true;
  }

  async #isKept(entry: FolderEntry): Promise<boolean> {
    const isThere = await this.#tree.exists(entry.path).catch(() => false);
    if (isThere) {
      this.counters.keptCount++;
      if (entry.type === 'file') {
        this.#kept.fileCount++;
        this.#kept.sizeBytes += entry.sizeBytes;
      }
      this.#narrator.tell();
    }
    return isThere;
  }

  async #addToBatch(entry: FileEntry): Promise<void> {
    const { fileHash, sizeBytes } = entry;
    const known = this.#batch.get(fileHash);
    if (known !== undefined) known.push(entry);
    else {
      if (this.#batchBytes + sizeBytes > BATCH_BYTES || this.#batch.size >= BATCH_FILES) {
        await this.#flush();
      }
      this.#batch.set(fileHash, [entry]);
      this.#batchBytes += sizeBytes;
    }
    this.#batchEntries++;
    if (this.#batchEntries >= BATCH_ENTRIES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const groups = [...this.#batch.values()];
    this.#batch = new Map();
    this.#batchBytes = 0;
    this.#batchEntries = 0;
    if (groups.length > 0) await this.#start(() => this.#fetcher.many(groups));
  }

  /** Begins a job when there is room for it. */
  async #start(run: () => Promise<void>): Promise<void> {
    while (this.#jobs.size >= this.#fetcher.jobs) await Promise.race(this.#jobs);
    if (this.#fatal !== null) return;
    const job = run()
      .catch((error: unknown) => this.#end(error))
      .finally(() => this.#jobs.delete(job));
    this.#jobs.add(job);
  }

  #attempt(entry: FolderEntry, run: () => Promise<void>): Promise<boolean> {
    return this.#failures.attempt(entry, run);
  }

  #done({ sizeBytes }: FileEntry): void {
    this.counters.fileCount++;
    this.counters.sizeBytes += sizeBytes;
    this.#memory?.written(this.counters.sizeBytes, this.#totals.sizeBytes);
    this.#narrator.tell();
  }

  /** Bytes of a large file came, were read back or copied; null: they are counted now, or it failed. */
  #moved(entry: FileEntry, progress: DownloadProgress | null): void {
    if (progress === null) {
      this.#moving.delete(entry);
      return;
    }
    this.#moving.set(entry, progress);
    const { phase, writtenBytes, file } = progress;
    const isLocal = phase === 'resuming' || phase === 'seeding';
    this.#file =
      isLocal && file !== null
        ? { ...file, name: entry.path }
        : { name: entry.path, readBytes: writtenBytes, sizeBytes: entry.sizeBytes };
    this.#memory?.written(this.#standing().writtenBytes, this.#totals.sizeBytes);
    this.#narrator.tell();
  }

  #enter(phase: FolderDownloadProgress['phase']): void {
    this.#phase = phase;
    this.#file = null;
    this.#narrator.tell();
  }

  #standing(): Standing {
    const { fileCount, sizeBytes, ...counters } = this.counters;
    let { fetchedBytes, resumedBytes, seededBytes } = counters;
    let writtenBytes = sizeBytes + this.#kept.sizeBytes;
    for (const each of this.#moving.values()) {
      writtenBytes += each.writtenBytes;
      fetchedBytes += each.fetchedBytes;
      resumedBytes += each.resumedBytes;
      seededBytes += each.seededBytes;
    }
    // What fails has been counted, and is no more.
    this.#shownBytes = Math.max(this.#shownBytes, Math.min(writtenBytes, this.#totals.sizeBytes));
    return {
      phase: this.#phase,
      writtenBytes: this.#shownBytes,
      totalBytes: this.#totals.sizeBytes,
      ...{ fetchedBytes, resumedBytes, seededBytes },
      doneFileCount: fileCount + this.#kept.fileCount,
      fileCount: this.#totals.fileCount,
      file: this.#file,
    };
  }

  /** From the inside out: whatever is done in a folder changes its time, and its rights may forbid it. */
  async #finishFolders(spool: Spool, rules: NameRules): Promise<void> {
    const lost = new Set(this.#failures.list.map(({ path }) => path));
    const open: DirectoryEntry[] = [];
    /** Of a folder that is not there; no path begins with a slash. */
    let skipped = '/';
    const finish = async (entry: DirectoryEntry): Promise<void> => {
      await this.#attempt(entry, () => this.#tree.finishFolder(entry));
    };
    for await (const entry of readSpool(spool, rules)) {
      if (this.#fatal !== null) return;
      while (open.length > 0 && !entry.path.startsWith(`${open.at(-1)?.path}/`)) {
        await finish(open.pop() as DirectoryEntry);
      }
      if (entry.type !== 'folder' || entry.path.startsWith(skipped)) continue;
      if (lost.has(entry.path)) skipped = `${entry.path}/`;
      else open.push(entry);
    }
    for (let entry = open.pop(); entry !== undefined; entry = open.pop()) await finish(entry);
  }

  #end(error: unknown): void {
    this.#fatal ??= { error };
    this.#abort.abort();
  }

  #reason(): unknown {
    const error = this.#fatal?.error;
    if (isOrbweaverError(error)) return error;
    return this.#options.signal?.aborted === true
      ? new OrbweaverError('ABORTED', 'the download was cancelled', {}, error)
      : error;
  }
}
