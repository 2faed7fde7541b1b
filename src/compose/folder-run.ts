import type { UploadProgress } from '../client/index.js';
import { OrbweaverError } from '../errors.js';
import { secondsLeft } from '../flow/index.js';
import { type DirectoryEntry, ManifestWriter, type SymlinkEntry } from '../folder/index.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { Spool, Walked, WalkedFile } from '../io/index.js';
import type {
  ClientUploadOptions,
  FailedUpload,
  UploadBase,
  UploadedFile,
  UploadResult,
} from './client-types.js';
import { failedFile } from './failed-file.js';
import type { FolderUploadOptions, FolderUploadResult, SkippedEntry } from './folder-types.js';

/**
 * Entries that are uploaded as one session. What is remembered of them (half a kilobyte each) bounds the
 * memory of a folder of any size; all files of a session share one index.
 */
export const SEGMENT_ENTRIES = 20_000;

const ENCODER = new TextEncoder();

/**
 * Uploads what a walk finds, a segment at a time, and then the manifest.
 * @throws what uploading throws
 */
export async function uploadWalk<F extends WalkedFile>(
  walk: () => AsyncIterable<readonly Found<F>[]>,
  parts: FolderRunParts<F>,
  options: FolderRunOptions,
  segmentEntries: number = SEGMENT_ENTRIES,
): Promise<Omit<FolderUploadResult, 'wallMs'>> {
  const run = new FolderRun(parts, options);
  await run.start();
  for await (const some of walk()) {
    for (const found of some) {
      run.add(found);
      if (run.waitingCount < segmentEntries) continue;
      run.count(walk);
      await run.uploadSegment();
    }
  }
  run.isLast = true;
  await run.uploadSegment();
  return run.finish();
}

/** What was found: files with whatever it takes to read them. */
export type Found<F extends WalkedFile> = F | Exclude<Walked, { readonly type: 'file' }>;

type Entry<F extends WalkedFile> = F | DirectoryEntry | SymlinkEntry;

/** How an upload of a run is watched. */
export type SendOptions = Pick<ClientUploadOptions, 'onProgress' | 'onFile'>;

/** What a {@link FolderRun} works with. */
export interface FolderRunParts<F extends WalkedFile> {
  /** Takes the lines of the manifest. */
  readonly spool: Spool;
  /**
   * Uploads some files, told of in their order by the path of their source, the failed ones left out.
   * @param part number of the upload, from 0
   */
  sendFiles(files: readonly F[], part: number, options: SendOptions): Promise<UploadResult>;
  /** Uploads what the spool has. */
  sendManifest(options: SendOptions): Promise<UploadResult>;
}

/** What of the options of an upload concerns the run itself. */
export type FolderRunOptions = Pick<FolderUploadOptions, 'names' | 'onFile' | 'onProgress'>;

/** What was found of a folder, as the files of uploads and the lines of a manifest. */
class FolderRun<F extends WalkedFile> {
  readonly #parts: FolderRunParts<F>;
  readonly #writer: ManifestWriter;
  readonly #failed: FailedUpload[] = [];
  readonly #skipped: SkippedEntry[] = [];
  /** What became of each base, as the first session has it. */
  readonly #bases = new Map<string, UploadBase>();
  #onFile: FolderUploadOptions['onFile'];
  #segment: Entry<F>[] = [];
  #segmentCount = 0;
  #counts = { fileCount: 0, folderCount: 0, symlinkCount: 0 };
  #bytes = { sizeBytes: 0, newBytes: 0, dedupedBytes: 0 };
  #sent = { xorbCount: 0, xorbBytes: 0, shardCount: 0, shardBytes: 0 };
  /** Nothing follows the segment at hand. */
  isLast = false;
  /** Files found so far, and all of them, once a walk of its own has counted them. */
  readonly #found = { fileCount: 0, sizeBytes: 0 };
  #all: { readonly fileCount: number; readonly sizeBytes: number } | null = null;
  #isCounting = false;
  /** What earlier segments came to. */
  #before: UploadProgress | null = null;
  /** That, and the segment at hand. */
  #sum: UploadProgress | null = null;
  #progress: UploadProgress | null = null;
  #onProgress: FolderUploadOptions['onProgress'];

  constructor(parts: FolderRunParts<F>, options: FolderRunOptions) {
    this.#parts = parts;
    this.#onFile = options.onFile;
    this.#onProgress = options.onProgress;
    this.#writer = new ManifestWriter(options.names ?? 'portable');
  }

  /** Entries of the segment at hand. */
  get waitingCount(): number {
    return this.#segment.length;
  }

  start(): Promise<void> {
    return this.#write(this.#writer.start());
  }

  add(found: Found<F>): void {
    if (found.type === 'skipped') {
      this.#skipped.push({ path: found.path, reason: found.reason });
    } else if (found.type === 'problem') {
      this.#failed.push(failedFile(found.path, found.error));
    } else this.#segment.push(found);
    count(this.#found, found);
  }

  /** More than a segment: the whole is counted beside the upload, so that it is known before its end. */
  count(walk: () => AsyncIterable<readonly Found<F>[]>): void {
    if (this.#isCounting || this.#onProgress === undefined) return;
    this.#isCounting = true;
    const all = { fileCount: 0, sizeBytes: 0 };
    const counting = async (): Promise<void> => {
      for await (const some of walk()) for (const found of some) count(all, found);
      this.#all = all;
    };
    // What fails there fails in the upload, too.
    counting().catch(() => {});
  }

  /** Uploads what was added, and writes its lines. */
  async uploadSegment(): Promise<void> {
    const segment = this.#segment;
    this.#segment = [];
    const files = segment.filter((entry): entry is F => entry.type === 'file');
    const registered = new Registered(files.map(({ source }) => source));
    if (files.length > 0) {
      const result = await this.#parts.sendFiles(files, this.#segmentCount++, {
        onProgress: this.#onProgress && ((now) => this.#progressed(now)),
        onFile: (file) => {
          registered.note(file);
          this.#tell(file);
        },
      });
      const gotCount = registered.count + result.failed.length;
      if (gotCount !== files.length) {
        const message = `results of ${files.length} files expected, got ${gotCount}`;
        throw new OrbweaverError('INTERNAL', message);
      }
      this.#noteResult(result);
      this.#failed.push(...result.failed);
      this.#before = this.#sum;
    }
    let file = 0;
    let lines: string[] = [];
    for (const entry of segment) {
      const line =
        entry.type === 'file'
          ? this.#fileLine(entry, registered, file++)
          : this.#otherLine(entry as DirectoryEntry | SymlinkEntry);
      if (line !== null) lines.push(line);
      if (lines.length < 1024) continue;
      await this.#write(lines.join(''));
      lines = [];
    }
    await this.#write(lines.join(''));
  }

  /** Stores the manifest. */
  async finish(): Promise<Omit<FolderUploadResult, 'wallMs'>> {
    await this.#write(this.#writer.end());
    await this.#parts.spool.flush();
    const result = await this.#parts.sendManifest({
      onProgress: this.#onProgress && (() => this.#tellProgress('registering')),
    });
    this.#noteResult(result);
    this.#tellProgress('done');
    const [stored] = result.files;
    if (stored === undefined) {
      const [failure] = result.failed;
      if (failure === undefined) {
        throw new OrbweaverError('INTERNAL', 'the manifest was not stored');
      }
      const { code, message, status, requestId } = failure;
      throw new OrbweaverError(code, message, { status, requestId });
    }
    return {
      manifestHash: stored.fileHash,
      manifestBytes: stored.sizeBytes,
      ...this.#counts,
      ...this.#bytes,
      failed: this.#failed,
      skipped: this.#skipped,
      ...(this.#bases.size === 0 ? {} : { bases: [...this.#bases.values()] }),
      ...this.#sent,
    };
  }

  #fileLine(entry: F, registered: Registered, file: number): string | null {
    const stored = registered.get(file);
    // It failed, and is told of as such.
    if (stored === null) return null;
    const { path, type, mode, mtimeMs } = entry;
    const { sizeBytes, fileHash, newBytes } = stored;
    this.#counts.fileCount++;
    this.#bytes.sizeBytes += sizeBytes;
    this.#bytes.newBytes += newBytes;
    this.#bytes.dedupedBytes += sizeBytes - newBytes;
    return this.#writer.add({ path, type, sizeBytes, fileHash, mode, mtimeMs });
  }

  #otherLine(entry: DirectoryEntry | SymlinkEntry): string {
    if (entry.type === 'folder') this.#counts.folderCount++;
    else this.#counts.symlinkCount++;
    return this.#writer.add(entry);
  }

  #noteResult({ bases = [], xorbCount, xorbBytes, shardCount, shardBytes }: UploadResult): void {
    for (const each of bases) if (!this.#bases.has(each.base)) this.#bases.set(each.base, each);
    this.#sent.xorbCount += xorbCount;
    this.#sent.xorbBytes += xorbBytes;
    this.#sent.shardCount += shardCount;
    this.#sent.shardBytes += shardBytes;
  }

  /** A session at hand is where `now` says. */
  #progressed(now: UploadProgress): void {
    const sum = added(this.#before, now);
    this.#sum = sum;
    const { doneBytes, bytesPerSecond } = sum;
    const { fileCount, sizeBytes } = this.#all ?? this.#found;
    const isKnown = this.isLast || this.#all !== null;
    const totalBytes = isKnown ? Math.max(sizeBytes, sum.totalBytes ?? 0) : undefined;
    this.#progress = {
      ...sum,
      totalBytes,
      fileCount: Math.max(fileCount, sum.fileCount),
      secondsLeft: secondsLeft(doneBytes, totalBytes, bytesPerSecond),
    };
    const rest = this.isLast ? 'registering' : 'reading';
    this.#tellProgress(now.phase === 'done' ? rest : now.phase);
  }

  #tellProgress(phase: UploadProgress['phase']): void {
    const progress = this.#progress;
    if (progress === null) return;
    try {
      this.#onProgress?.({ ...progress, phase });
    } catch {
      this.#onProgress = undefined;
    }
  }

  /** A listener that throws is not called again. */
  #tell(file: UploadedFile): void {
    try {
      this.#onFile?.(file);
    } catch {
      this.#onFile = undefined;
    }
  }

  #write(text: string): Promise<void> {
    return this.#parts.spool.write(ENCODER.encode(text));
  }
}

/** What files of a segment came to, by their number; they are told of in order, the failed ones left out. */
class Registered {
  readonly #sources: readonly string[];
  readonly #hashes: Uint8Array;
  readonly #sizes: Float64Array;
  readonly #newBytes: Float64Array;
  readonly #isDone: Uint8Array;
  #next = 0;
  #count = 0;

  constructor(sources: readonly string[]) {
    this.#sources = sources;
    this.#hashes = new Uint8Array(HASH_BYTES * sources.length);
    this.#sizes = new Float64Array(sources.length);
    this.#newBytes = new Float64Array(sources.length);
    this.#isDone = new Uint8Array(sources.length);
  }

  get count(): number {
    return this.#count;
  }

  note({ path, sizeBytes, fileHash, newBytes }: UploadedFile): void {
    while (this.#next < this.#sources.length && this.#sources[this.#next] !== path) this.#next++;
    if (this.#next >= this.#sources.length) {
      throw new OrbweaverError('INTERNAL', `"${path}" was not expected here`);
    }
    const file = this.#next++;
    this.#count++;
    this.#hashes.set(MerkleHash.parse(fileHash).bytes, HASH_BYTES * file);
    this.#sizes[file] = sizeBytes;
    this.#newBytes[file] = newBytes;
    this.#isDone[file] = 1;
  }

  get(file: number): Pick<UploadedFile, 'sizeBytes' | 'fileHash' | 'newBytes'> | null {
    if (this.#isDone[file] !== 1) return null;
    return {
      sizeBytes: this.#sizes[file] as number,
      fileHash: MerkleHash.from(this.#hashes, HASH_BYTES * file).toString(),
      newBytes: this.#newBytes[file] as number,
    };
  }
}

function count(sum: { fileCount: number; sizeBytes: number }, found: Found<WalkedFile>): void {
  if (found.type !== 'file') return;
  sum.fileCount++;
  sum.sizeBytes += found.sizeBytes;
}

function added(before: UploadProgress | null, now: UploadProgress): UploadProgress {
  if (before === null) return now;
  return {
    ...now,
    fileCount: before.fileCount + now.fileCount,
    doneFileCount: before.doneFileCount + now.doneFileCount,
    readBytes: before.readBytes + now.readBytes,
    doneBytes: before.doneBytes + now.doneBytes,
    totalBytes:
      before.totalBytes === undefined || now.totalBytes === undefined
        ? undefined
        : before.totalBytes + now.totalBytes,
    newBytes: before.newBytes + now.newBytes,
    dedupedBytes: before.dedupedBytes + now.dedupedBytes,
    skippedBytes: before.skippedBytes + now.skippedBytes,
    sentBytes: before.sentBytes + now.sentBytes,
    toSendBytes: before.toSendBytes + now.toSendBytes,
  };
}
