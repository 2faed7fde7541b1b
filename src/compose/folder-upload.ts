import { resolve } from 'node:path';
import type { UploadProgress } from '../client/index.js';
import { ERROR_CODES, OrbweaverError } from '../errors.js';
import { secondsLeft } from '../flow/index.js';
import { isUtf8Path, ManifestWriter } from '../folder/index.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import {
  createSpool,
  pathFilter,
  rawPathSource,
  type Spool,
  type Walked,
  walkFolder,
} from '../io/index.js';
import type {
  FailedUpload,
  PlacementName,
  UploadBase,
  UploadedFile,
  UploadResult,
} from './client-types.js';
import { walkTreeOf } from './folder-inputs.js';
import type { FolderUploadOptions, FolderUploadResult, SkippedEntry } from './folder-types.js';
import type { UploadInput } from './input.js';
import { type PathList, pathList, type TransferCommand } from './transfer-command.js';
import { runUpload, type UploadParts } from './upload.js';

/**
 * Entries that are uploaded as one session. What is remembered of them (half a kilobyte each) bounds the
 * memory of a folder of any size; all files of a session share one index.
 */
const SEGMENT_ENTRIES = 20_000;

const ENCODER = new TextEncoder();

/**
 * Uploads what folders hold, and then the manifest that says what that was:
 *
 *     walk ─► a segment of entries ─► upload ─► their lines ─► spool ─► … ─► upload of the spool
 *
 * The manifest comes last: it names only what is registered. A file that fails is not in it.
 *
 * @throws what `OrbweaverClient.uploadFolder` does
 */
export async function runFolderUpload(
  parts: UploadParts,
  inputs: readonly string[],
  options: FolderUploadOptions,
  segmentEntries: number = SEGMENT_ENTRIES,
): Promise<FolderUploadResult> {
  const { names = 'portable', hidden = true, symlinks = 'keep', signal } = options;
  const startedAt = performance.now();
  const top = await walkTreeOf(inputs, { files: options.files, hidden });
  const isExcluded = pathFilter(options.exclude ?? []);
  const run = new FolderRun(
    { ...parts, inputs },
    options,
    await createSpool(),
    new ManifestWriter(names),
  );
  const walk = (): AsyncGenerator<readonly Walked[], void> =>
    walkFolder(top, { names, symlinks, hidden, isExcluded, signal });
  try {
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
    return { ...(await run.finish()), wallMs: performance.now() - startedAt };
  } finally {
    await run.spool.remove();
  }
}

type Entry = Exclude<Walked, { readonly type: 'problem' | 'skipped' }>;

class FolderRun {
  readonly spool: Spool;
  readonly #parts: UploadParts & { readonly inputs: readonly string[] };
  readonly #options: FolderUploadOptions;
  readonly #writer: ManifestWriter;
  readonly #failed: FailedUpload[] = [];
  readonly #skipped: SkippedEntry[] = [];
  /** What `files` says, as a later run finds it; null: it says nothing. */
  readonly #list: PathList | null;
  /** What became of each base, as the first session has it. */
  readonly #bases = new Map<string, UploadBase>();
  #onFile: FolderUploadOptions['onFile'];
  #segment: Entry[] = [];
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

  constructor(
    parts: UploadParts & { readonly inputs: readonly string[] },
    options: FolderUploadOptions,
    spool: Spool,
    writer: ManifestWriter,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#onFile = options.onFile;
    this.#onProgress = options.onProgress;
    this.#list = options.files === undefined ? null : pathList(options.files);
    this.spool = spool;
    this.#writer = writer;
  }

  /** Entries of the segment at hand. */
  get waitingCount(): number {
    return this.#segment.length;
  }

  start(): Promise<void> {
    return this.#write(this.#writer.start());
  }

  add(found: Walked): void {
    if (found.type === 'skipped') {
      this.#skipped.push({ path: found.path, reason: found.reason });
    } else if (found.type === 'problem') {
      const { code, message, hint } = found.error;
      const { exitCode } = ERROR_CODES[code];
      this.#failed.push({ path: found.path, code, message, hint, exitCode });
    } else this.#segment.push(found);
    count(this.#found, found);
  }

  /** More than a segment: the whole is counted beside the upload, so that it is known before its end. */
  count(walk: () => AsyncIterable<readonly Walked[]>): void {
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
    const files = segment.filter((entry) => entry.type === 'file');
    const registered = new Registered(files.map(({ source }) => source));
    if (files.length > 0) {
      const inputs = files.map(
        ({ source, sizeBytes }): UploadInput =>
          isUtf8Path(source) ? source : rawPathSource(source, sizeBytes),
      );
      const { sha256, rehash, maxXorbBytes, base, dryRun, signal } = this.#options;
      const { state } = this.#parts;
      const { inputs: given, placement } = this.#parts;
      const command = commandOf(given, this.#options, { placement, list: this.#list });
      const part = this.#segmentCount++;
      const remembered = state === null ? null : { ...state, command: { ...command, part } };
      const result = await runUpload({ ...this.#parts, state: remembered }, inputs, {
        sha256,
        rehash,
        maxXorbBytes,
        base,
        dryRun,
        signal,
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
        entry.type === 'file' ? this.#fileLine(entry, registered, file++) : this.#otherLine(entry);
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
    await this.spool.flush();
    const { maxXorbBytes, dryRun, signal } = this.#options;
    const manifest = { name: 'the manifest', data: this.spool.path };
    // It lies under a name that does not come again: nothing to remember.
    const result = await runUpload({ ...this.#parts, state: null }, [manifest], {
      ...{ maxXorbBytes, dryRun, signal },
      onProgress: this.#onProgress && (() => this.#tellProgress('registering')),
    });
    this.#noteResult(result);
    this.#tellProgress('done');
    const [stored] = result.files;
    if (stored === undefined) {
      const [
        { code, message } = { code: 'INTERNAL' as const, message: 'the manifest was not stored' },
      ] = result.failed;
      throw new OrbweaverError(code, message);
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

  #fileLine(
    entry: Extract<Entry, { type: 'file' }>,
    registered: Registered,
    file: number,
  ): string | null {
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

  #otherLine(entry: Exclude<Entry, { type: 'file' }>): string {
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
    return this.spool.write(ENCODER.encode(text));
  }
}

/** The command line that uploads these folders again. */
function commandOf(
  inputs: readonly string[],
  { exclude = [], hidden, symlinks, names, sha256 }: FolderUploadOptions,
  { placement, list }: { readonly placement: PlacementName; readonly list: PathList | null },
): Omit<TransferCommand, 'part'> {
  const paths = inputs.map((input) => resolve(input));
  const options = [
    ...exclude.map((pattern) => `--exclude=${pattern}`),
    ...(hidden === false ? ['--no-hidden'] : []),
    ...(symlinks === undefined ? [] : [`--symlinks=${symlinks}`]),
    ...(names === undefined ? [] : [`--names=${names}`]),
    ...(sha256 === true ? ['--sha256'] : []),
    ...(placement === 'balanced' ? [] : [`--placement=${placement}`]),
  ];
  return { paths, list, options };
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

function count(sum: { fileCount: number; sizeBytes: number }, found: Walked): void {
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
