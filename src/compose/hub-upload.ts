import { stat } from 'node:fs/promises';
import type { UploadProgress } from '../client/index.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import {
  type CommitOperation,
  checkRepoPath,
  commit,
  listTree,
  PREUPLOAD_FILES,
  type PreuploadAnswer,
  pathsInfo,
  preupload,
  pullRequestBranch,
  repoOf,
  SAMPLE_BYTES,
} from '../hub/index.js';
import { gitBlobId, pathFilter, walkFolder } from '../io/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import type { FailedUpload, OrbweaverClient, UploadBase, UploadedFile } from './client-types.js';
import { walkTreeOf } from './folder-inputs.js';
import type { SkippedEntry } from './folder-types.js';
import { filesCommand, folderCommand, type HubUploadCommand } from './hub-command.js';
import { bytesOf, changedMs, type LookedAt, lookAt } from './hub-content.js';
import { editOf } from './hub-edit.js';
import { failedFile } from './hub-failures.js';
import { type HubParts, repoAt } from './hub-parts.js';
import type {
  HubCopy,
  HubFile,
  HubFolderUploadOptions,
  HubMadeCommit,
  HubProgress,
  HubUploadedFile,
  HubUploadOptions,
  HubUploadResult,
  RepoAt,
} from './hub-types.js';
import { askLfs, sendWhole, sha256Of, type WantedFile } from './hub-whole.js';
import { inLanes } from './in-lanes.js';
import type { UploadInput } from './input.js';
import { partOf } from './transfer-command.js';

/**
 * Files of one commit. Of what is uploaded half a kilobyte each is remembered until it is committed;
 * the Hub takes commits of this size.
 */
const COMMIT_FILES = 10_000;
/** Bytes that a commit carries itself: they are in memory, and one request. */
const INLINE_BYTES = 32 * 1024 * 1024;
/** A larger file is not sent inline, whatever the Hub asks for (its own limit is 10 MB). */
const MAX_INLINE_FILE_BYTES = 16 * 1024 * 1024;
/** Questions of a preupload that are on their way at once. */
const PARALLEL_QUESTIONS = 4;
/** Files that are sent whole at once. */
const PARALLEL_WHOLE = 4;

/**
 * Uploads files and commits them:
 *
 *     look at each ─► ask how it is to be sent ─► stored ones to the store, in one session ─► commit
 *
 * SHA-256 is computed in the pass that cuts. Files whose SHA-256 is known are asked about before, and those
 * that the Hub has are not sent; where there is no store, that of every file is. A file that the repository
 * has under that path already is the base of the new one, and in no commit when nothing differs.
 */
export async function hubUpload(
  parts: HubParts,
  files: readonly HubFile[],
  options: HubUploadOptions,
): Promise<HubUploadResult> {
  return uploadAs(parts, files, options, filesCommand(parts, files, options));
}

/** @param command what goes on with it */
async function uploadAs(
  parts: HubParts,
  files: readonly HubFile[],
  options: HubUploadOptions,
  command: HubUploadCommand,
): Promise<HubUploadResult> {
  const startedAt = performance.now();
  checkFiles(files);
  return parts.run(options.signal, async (signal) => {
    const copies = (options.copies ?? []).map(copyOf);
    const deletions = splitDeletions([...files, ...copies], options.deletePaths ?? []);
    const about = { at: repoAt(options), fileCount: files.length, command };
    const run = new HubUploadRun(parts, about, options, signal);
    await run.upload(files, copies, deletions);
    return run.result(performance.now() - startedAt);
  });
}

/** Uploads what a folder holds. */
export async function hubUploadFolder(
  parts: HubParts,
  options: HubFolderUploadOptions,
): Promise<HubUploadResult> {
  const { folder, path = '', include = [], exclude = [], deleteRemoved = false, ...more } = options;
  const { files: only, hidden = true, symlinks = 'follow', names = 'native', ...rest } = more;
  const prefix = path === '' ? '' : `${checkRepoPath(path.replace(/\/+$/, ''))}/`;
  const stats = await stat(folder).catch(() => null);
  if (stats === null || !stats.isDirectory()) {
    throw new OrbweaverError('INPUT_NOT_FOUND', `"${folder}" expected a folder, got none`, {
      path: folder,
    });
  }
  const isIncluded = include.length === 0 ? () => true : pathFilter(include);
  const isExcluded = pathFilter(exclude);
  const files: HubFile[] = [];
  const failed: FailedUpload[] = [];
  const skipped: SkippedEntry[] = [];
  const walk = walkFolder(
    only === undefined
      ? { source: folder, only: null, include: null }
      : await walkTreeOf([folder], { files: only, hidden }),
    {
      ...{ names, symlinks, hidden },
      // What Git and the Python client keep of their own.
      isExcluded: (found, isFolder) =>
        found === '.git' || found === '.cache/huggingface' || isExcluded(found, isFolder),
      signal: options.signal,
    },
  );
  for await (const some of walk) {
    for (const found of some) {
      if (found.type === 'file' && 'source' in found && isIncluded(found.path, false)) {
        const { source: content, mtimeMs } = found;
        files.push({ path: prefix + found.path, content, mtimeMs });
      } else if (found.type === 'problem') failed.push(failedFile(found.path, found.error));
      else if (found.type === 'skipped') skipped.push({ path: found.path, reason: found.reason });
    }
  }
  const gone = deleteRemoved ? await removedPaths(parts, options, prefix, files) : [];
  const deletePaths = [...(rest.deletePaths ?? []), ...gone];
  const command = folderCommand(parts, options);
  const result = await uploadAs(parts, files, { ...rest, deletePaths }, command);
  return { ...result, failed: [...failed, ...result.failed], skipped };
}

/** What the repository has below a path and the folder has not. */
async function removedPaths(
  parts: HubParts,
  options: HubFolderUploadOptions,
  prefix: string,
  files: readonly HubFile[],
): Promise<string[]> {
  const { repo, revision } = repoAt(options);
  const there = new Set(files.map(({ path }) => path));
  return parts.run(options.signal, async (signal) => {
    const gone: string[] = [];
    const listing = { revision, path: prefix.replace(/\/$/, ''), recursive: true, signal };
    try {
      for await (const { type, path } of listTree(parts.http, repo, listing)) {
        if (type === 'file' && !there.has(path) && path !== '.gitattributes') gone.push(path);
      }
    } catch (error) {
      // Nothing is there yet.
      if (!isOrbweaverError(error) || error.code !== 'NOT_FOUND') throw error;
    }
    return gone;
  });
}

/** What is deleted before the files come, and after them. */
interface Deletions {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

/**
 * A file counts after a deletion, so what makes room for one goes first: its folder, a file where its folder
 * is to be. A deletion of the file itself is none. All others wait until every file is there.
 */
function splitDeletions(
  files: readonly { readonly path: string }[],
  deletePaths: readonly string[],
): Deletions {
  if (deletePaths.length === 0) return { first: [], last: [] };
  const paths = new Set(files.map(({ path }) => path));
  const folders = new Set([...paths].flatMap(foldersOf));
  const left = deletePaths.filter((path) => !paths.has(path));
  const isFirst = (path: string): boolean => {
    const bare = path.replace(/\/+$/, '');
    return folders.has(bare) || paths.has(bare) || foldersOf(bare).some((each) => paths.has(each));
  };
  return { first: left.filter(isFirst), last: left.filter((path) => !isFirst(path)) };
}

function copyOf({ path, fileHash, from }: HubCopy): CommitOperation {
  if (!/^[0-9a-f]{64}$/.test(fileHash)) {
    throw new TypeError(`"fileHash" of "${path}" expected 64 hexadecimal digits`);
  }
  return { operation: 'copy', path: checkRepoPath(path), fileHash, from: repoOf(from) };
}

/** The folders on the way to a path. */
function foldersOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'));
}

class HubUploadRun {
  readonly #parts: HubParts;
  readonly #at: RepoAt;
  readonly #options: HubUploadOptions;
  readonly #signal: AbortSignal;
  readonly #files: HubUploadedFile[] = [];
  readonly #failed: FailedUpload[] = [];
  readonly #commits: HubMadeCommit[] = [];
  readonly #deleted: string[] = [];
  /** What became of each base, as the first session has it. */
  readonly #bases = new Map<string, UploadBase>();
  readonly #fileCount: number;
  readonly #command: HubUploadCommand;
  /** Which of its uploads to the store is next. */
  #part = 0;
  /** Not made yet. */
  #copies: readonly CommitOperation[] = [];
  #cleared: readonly string[] = [];
  /** Large files go whole: that was asked for, or there is no store. */
  #isWhole: boolean;
  #head: string | undefined;
  /** Branch of the pull request that this upload has opened: its further commits go there. */
  #proposal: string | null = null;
  #progress: HubProgress;
  #sentBytes = 0;

  constructor(
    parts: HubParts,
    {
      at,
      fileCount,
      command,
    }: { readonly at: RepoAt; readonly fileCount: number; readonly command: HubUploadCommand },
    options: HubUploadOptions,
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#at = at;
    this.#options = options;
    this.#signal = signal;
    this.#fileCount = fileCount;
    this.#command = command;
    this.#head = options.parentCommit;
    this.#isWhole = parts.options.transport === 'http' && at.repo.type !== 'bucket';
    this.#progress = { doneBytes: 0, totalBytes: 0, wireBytes: 0, doneFileCount: 0, fileCount };
  }

  async upload(
    files: readonly HubFile[],
    copies: readonly CommitOperation[],
    { first, last }: Deletions,
  ): Promise<void> {
    this.#cleared = first;
    this.#copies = copies;
    if (files.length === 0) await this.#commitRest([], { first, last });
    for (let start = 0; start < files.length; start += COMMIT_FILES) {
      const end = start + COMMIT_FILES;
      await this.#uploadSome(files.slice(start, end), {
        first: start === 0 ? first : [],
        last: end >= files.length ? last : [],
      });
    }
  }

  async #uploadSome(files: readonly HubFile[], deletions: Deletions): Promise<void> {
    const looked = await this.#lookAt(files);
    const isBucket = this.#at.repo.type === 'bucket';
    const answers = isBucket ? new Map<string, PreuploadAnswer>() : await this.#ask(looked);
    const stored: LookedAt[] = [];
    const inline: LookedAt[] = [];
    for (const one of looked) {
      const answer = answers.get(one.file.path);
      if (answer?.isIgnored === true) continue;
      const isInline = answer?.mode === 'regular' && one.sizeBytes <= MAX_INLINE_FILE_BYTES;
      (isInline ? inline : stored).push(one);
    }
    const operations = await this.#store(stored, answers);
    await this.#commitRest(operations, deletions, this.#inlined(inline, answers));
  }

  /** Commits operations, inline files as many at a time as a request should carry, and deletions. */
  async #commitRest(
    stored: readonly CommitOperation[],
    deletions: Deletions,
    inlined: AsyncIterable<Extract<CommitOperation, { operation: 'inline' }>> = none(),
  ): Promise<void> {
    const before = this.#deletionsOf(deletions.first);
    let open: CommitOperation[] = [...before, ...stored, ...this.#copies];
    this.#copies = [];
    let bytes = 0;
    for await (const operation of inlined) {
      if (bytes > 0 && bytes + operation.bytes.length > INLINE_BYTES) {
        await this.#commit(open);
        open = [];
        bytes = 0;
      }
      open.push(operation);
      bytes += operation.bytes.length;
    }
    await this.#commit([...open, ...this.#deletionsOf(deletions.last)]);
  }

  #deletionsOf(paths: readonly string[]): CommitOperation[] {
    this.#deleted.push(...paths);
    return paths.map((path) => {
      return { operation: 'delete', path: path.replace(/\/+$/, ''), isFolder: path.endsWith('/') };
    });
  }

  /** False for a file whose folder is deleted before it comes: it is needed again, whatever was there. */
  #stays(path: string): boolean {
    return !this.#cleared.some((gone) => gone.endsWith('/') && path.startsWith(gone));
  }

  result(wallMs: number): HubUploadResult {
    return {
      commits: this.#commits,
      files: this.#files,
      failed: this.#failed,
      deletedPaths: this.#deleted,
      skipped: [],
      ...(this.#bases.size === 0 ? {} : { bases: [...this.#bases.values()] }),
      sentBytes: this.#sentBytes,
      wallMs,
    };
  }

  async #lookAt(files: readonly HubFile[]): Promise<LookedAt[]> {
    const looked: LookedAt[] = [];
    // A bucket is not asked how it wants them.
    const sampleBytes = this.#at.repo.type === 'bucket' ? 0 : SAMPLE_BYTES;
    for (let start = 0; start < files.length; start += LOOK_AHEAD) {
      const some = files.slice(start, start + LOOK_AHEAD);
      const found = await Promise.all(
        some.map((file) =>
          lookAt(file, sampleBytes, this.#signal).catch((error: unknown) => ({ error })),
        ),
      );
      for (const [i, one] of found.entries()) {
        if ('error' in one) this.#fail((some[i] as HubFile).path, one.error);
        else looked.push(one);
      }
    }
    const totalBytes = looked.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#tell({ totalBytes: this.#progress.totalBytes + totalBytes });
    return looked;
  }

  async #ask(looked: readonly LookedAt[]): Promise<Map<string, PreuploadAnswer>> {
    const { repo, revision } = this.#at;
    const { createPr = false } = this.#options;
    const all = new Map<string, PreuploadAnswer>();
    const step = PREUPLOAD_FILES * PARALLEL_QUESTIONS;
    for (let start = 0; start < looked.length; start += step) {
      const questions: Promise<ReadonlyMap<string, PreuploadAnswer>>[] = [];
      for (let at = start; at < Math.min(start + step, looked.length); at += PREUPLOAD_FILES) {
        const files = looked
          .slice(at, Math.min(at + PREUPLOAD_FILES, start + step))
          .map(({ file: { path }, sizeBytes, sample }) => ({ path, sizeBytes, sample }));
        const options = { revision, createPr, signal: this.#signal };
        questions.push(preupload(this.#parts.http, repo, files, options));
      }
      for (const answers of await Promise.all(questions)) {
        for (const [path, answer] of answers) all.set(path, answer);
      }
    }
    return all;
  }

  /**
   * Sends large files: as chunks to the store, or whole where there is none. Resolves to the operations that
   * name them.
   */
  async #store(
    looked: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): Promise<CommitOperation[]> {
    const hashed = this.#isWhole ? await this.#hashed(looked) : looked;
    const open = hashed.filter(({ file: { path, sha256 }, sizeBytes }) => {
      const isThere = sha256 !== undefined && sha256 === answers.get(path)?.oid;
      if (!isThere || !this.#stays(path)) return true;
      this.#done({ path, sizeBytes, how: 'unchanged', fileHash: null, sha256 });
      return false;
    });
    if (open.length === 0) return [];
    if (this.#at.repo.type === 'bucket') return this.#sendToBucket(open);
    const said = await askLfs(this.#parts, this.#at.repo, open, {
      isWhole: this.#isWhole,
      branch: this.#branch(),
      signal: this.#signal,
    });
    if (said.isWhole && !this.#isWhole) {
      this.#noStore();
      return this.#store(open, answers);
    }
    const operations: CommitOperation[] = [];
    const chunks: LookedAt[] = [];
    const whole: WantedFile[] = [];
    for (const one of open) {
      const { path, sha256 } = one.file;
      const answer = sha256 === undefined ? undefined : said.answers.get(sha256);
      if (sha256 === undefined || answer === undefined) chunks.push(one);
      else if (answer.kind === 'refused') this.#fail(path, answer.error);
      else if (answer.kind === 'stored') operations.push(this.#wholeStored(one, sha256, 0));
      else if (this.#isWhole) whole.push({ looked: one, oid: sha256, answer });
      else chunks.push(one);
    }
    if (chunks.length > 0) operations.push(...(await this.#sendChunks(chunks, answers)));
    await inLanes(whole, { lanes: PARALLEL_WHOLE, signal: this.#signal }, async (wanted) => {
      try {
        const { looked: one, oid } = wanted;
        const count = this.#counter();
        if (this.#options.dryRun === true) count(one.sizeBytes);
        else await sendWhole(this.#parts, wanted, this.#signal, count);
        operations.push(this.#wholeStored(one, oid, one.sizeBytes));
      } catch (error) {
        if (this.#signal.aborted) throw error;
        this.#fail(wanted.looked.file.path, error);
      }
    });
    return operations;
  }

  /** The files with their SHA-256, without those that cannot be read. */
  async #hashed(looked: readonly LookedAt[]): Promise<LookedAt[]> {
    const hashed: LookedAt[] = [];
    for (const one of looked) {
      const { file } = one;
      try {
        const sha256 = file.sha256 ?? (await sha256Of(one, this.#signal));
        hashed.push({ ...one, file: { ...file, sha256 } });
      } catch (error) {
        this.#fail(file.path, error);
      }
    }
    return hashed;
  }

  /** A large file that is there, as whole as it is. */
  #wholeStored({ file, sizeBytes }: LookedAt, sha256: string, sentBytes: number): CommitOperation {
    const { path } = file;
    this.#done({ path, sizeBytes, how: 'stored', fileHash: null, sha256, newBytes: sentBytes });
    this.#sentBytes += sentBytes;
    const { doneBytes, doneFileCount } = this.#progress;
    // What was sent is counted already.
    const left = sizeBytes - sentBytes;
    this.#tell({ doneBytes: doneBytes + left, doneFileCount: doneFileCount + 1 });
    return { operation: 'stored', path, sha256, fileHash: null, sizeBytes };
  }

  /** Counts what goes out of one file. */
  #counter(): (bytes: number) => void {
    let last = 0;
    return (bytes) => {
      const more = bytes - last;
      last = bytes;
      const { doneBytes, wireBytes } = this.#progress;
      this.#tell({ doneBytes: doneBytes + more, wireBytes: wireBytes + more });
    };
  }

  /** The branch that is committed to; null: that of a pull request that is opened by the commit. */
  #branch(): string | null {
    if (this.#proposal !== null) return this.#proposal;
    return this.#options.createPr === true ? null : this.#at.revision;
  }

  #noStore(): void {
    const { name } = this.#at.repo;
    this.#isWhole = true;
    const text = `${name} takes no chunks: its large files are hashed first, and sent whole`;
    this.#parts.options.onWarning?.(text);
  }

  /** Sends files to the store. */
  async #sendChunks(
    open: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): Promise<CommitOperation[]> {
    const isBucket = this.#at.repo.type === 'bucket';
    const client = await this.#storeClient();
    if (client === null) return this.#store(open, answers);
    const bases = await this.#present(open, answers);
    const before = this.#progress;
    const result = await this.#send(client, open, bases, before);
    this.#sentBytes += result.sentBytes;
    const operations: CommitOperation[] = [];
    for (const { file, looked: one } of result.files) {
      const { path } = one.file;
      const { sizeBytes, fileHash, sha256, newBytes } = file;
      const isSame = isBucket ? fileHash === bases.get(path) : sha256 === answers.get(path)?.oid;
      const isThere = isSame && this.#stays(path);
      const how = isThere ? 'unchanged' : 'stored';
      this.#done({ path, sizeBytes, how, fileHash, sha256, newBytes });
      if (isThere) continue;
      const mtimeMs = isBucket ? await changedMs(one.file) : undefined;
      operations.push({ operation: 'stored', path, sha256, fileHash, sizeBytes, mtimeMs });
    }
    this.#tell({
      doneBytes: before.doneBytes + open.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      wireBytes: before.wireBytes + result.sentBytes,
    });
    return operations;
  }

  /** Of a change to a file of the store a bucket wants no SHA-256, so that only what changes is read and sent. */
  async #sendToBucket(open: readonly LookedAt[]): Promise<CommitOperation[]> {
    const operations: CommitOperation[] = [];
    const rest: LookedAt[] = [];
    for (const one of open) {
      const { path } = one.file;
      const edit = this.#options.dryRun === true ? null : editOf(one.file);
      const client = edit === null ? null : await this.#storeClient();
      try {
        if (edit === null || client === null) rest.push(one);
        else {
          const { fileHash, splices } = edit;
          const done = await client.edit(fileHash, splices, { signal: this.#signal });
          const { sizeBytes, sentBytes: newBytes } = done;
          this.#sentBytes += newBytes;
          const { doneBytes, wireBytes, doneFileCount } = this.#progress;
          this.#tell({
            doneBytes: doneBytes + sizeBytes,
            wireBytes: wireBytes + newBytes,
            doneFileCount: doneFileCount + 1,
          });
          const what = { path, sizeBytes, fileHash: done.fileHash, sha256: null };
          this.#done({ ...what, how: 'stored', newBytes });
          operations.push({ operation: 'stored', ...what });
        }
      } catch (error) {
        if (this.#signal.aborted) throw error;
        // Such as a file that this bucket's token does not show: it is read where it is, and sent.
        rest.push(one);
      }
    }
    return rest.length === 0
      ? operations
      : [...operations, ...(await this.#sendChunks(rest, new Map()))];
  }

  /** Null: this Hub has no store for the repository, whose large files go whole from now on. */
  async #storeClient(): Promise<OrbweaverClient | null> {
    const { createPr = false } = this.#options;
    const { transport = 'auto' } = this.#parts.options;
    const isBucket = this.#at.repo.type === 'bucket';
    if (isBucket && transport === 'http') {
      throw new OrbweaverError(
        'UNSUPPORTED',
        `bucket ${this.#at.repo.name} takes files through the content-addressed store only`,
      );
    }
    try {
      return await this.#parts.clientOf(this.#at, 'write', { createPr });
    } catch (error) {
      // The repository is there: it has said how it wants its files.
      const isMissing = isOrbweaverError(error) && error.code === 'NOT_FOUND';
      if (!isMissing || isBucket || transport !== 'auto') throw error;
      this.#noStore();
      return null;
    }
  }

  async #send(
    client: OrbweaverClient,
    open: readonly LookedAt[],
    bases: ReadonlyMap<string, string>,
    before: HubProgress,
  ): Promise<{
    readonly files: readonly { readonly file: UploadedFile; readonly looked: LookedAt }[];
    readonly sentBytes: number;
  }> {
    const byPath = new Map(open.map((one) => [one.file.path, one] as const));
    const inputs = open.map(({ file, source }): UploadInput => {
      const isPath = typeof file.content === 'string' || file.content instanceof URL;
      const base = bases.get(file.path);
      return {
        name: file.path,
        data: isPath ? (file.content as string | URL) : source,
        ...(file.sha256 === undefined ? {} : { sha256: file.sha256 }),
        ...(base === undefined ? {} : { base }),
      };
    });
    // What the repository has itself nobody has asked about.
    const present = new Set(bases.values());
    const files: { file: UploadedFile; looked: LookedAt }[] = [];
    const { base, rehash, maxXorbBytes, dryRun } = this.#options;
    const uploading = {
      ...{ base, rehash, maxXorbBytes, dryRun },
      sha256: this.#at.repo.type !== 'bucket',
      signal: this.#signal,
      onFile: (file: UploadedFile) => {
        const looked = byPath.get(file.path);
        if (looked !== undefined) files.push({ file, looked });
      },
      onProgress: ({ doneBytes, sentBytes, doneFileCount }: UploadProgress) =>
        this.#tell({
          doneBytes: before.doneBytes + doneBytes,
          wireBytes: before.wireBytes + sentBytes,
          doneFileCount: before.doneFileCount + doneFileCount,
        }),
    };
    const command = { ...this.#command, part: this.#part++ };
    const result = await client.upload(inputs, partOf(uploading, command));
    this.#failed.push(...result.failed);
    for (const each of result.bases ?? []) {
      if (!present.has(each.base) && !this.#bases.has(each.base)) this.#bases.set(each.base, each);
    }
    return { files, sentBytes: result.xorbBytes + result.shardBytes };
  }

  /** What the repository has now under the paths that change, as bases of the new files. */
  async #present(
    open: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): Promise<ReadonlyMap<string, string>> {
    const { repo, revision } = this.#at;
    const isBucket = repo.type === 'bucket';
    const paths = open
      .map(({ file }) => file.path)
      .filter((path) => isBucket || typeof answers.get(path)?.oid === 'string');
    if (paths.length === 0) return new Map();
    try {
      const found = await pathsInfo(this.#parts.http, repo, {
        revision,
        paths,
        signal: this.#signal,
      });
      return new Map(
        found.flatMap(({ path, xetHash }) => (xetHash === undefined ? [] : [[path, xetHash]])),
      );
    } catch (error) {
      // A base only saves bytes.
      if (!isOrbweaverError(error) || error.code === 'ABORTED') throw error;
      return new Map();
    }
  }

  /** Reads the files that the commit carries, without those that are there already. */
  async *#inlined(
    inline: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): AsyncGenerator<Extract<CommitOperation, { operation: 'inline' }>, void> {
    for (const some of readTogether(inline)) {
      const contents = await Promise.all(
        some.map(({ source, sizeBytes }) =>
          bytesOf(source, sizeBytes, this.#signal).catch((error: unknown) => ({ error })),
        ),
      );
      for (const [i, { file, sizeBytes }] of some.entries()) {
        const { path } = file;
        const bytes = contents[i] as Uint8Array | { readonly error: unknown };
        if ('error' in bytes) {
          this.#fail(path, bytes.error);
          continue;
        }
        const isThere = answers.get(path)?.oid === gitBlobId(bytes) && this.#stays(path);
        const how = isThere ? 'unchanged' : 'inline';
        this.#done({ path, sizeBytes, how, fileHash: null, sha256: null });
        this.#tell({
          doneBytes: this.#progress.doneBytes + sizeBytes,
          doneFileCount: this.#progress.doneFileCount + 1,
        });
        if (!isThere) yield { operation: 'inline', path, bytes };
      }
    }
  }

  async #commit(operations: readonly CommitOperation[]): Promise<void> {
    const { title, description, createPr, dryRun } = this.#options;
    if (operations.length === 0 || dryRun === true) return;
    const { repo, revision } = this.#at;
    const made = await commit(this.#parts.http, repo, operations, {
      revision: this.#proposal ?? revision,
      title: title ?? titleOf(operations),
      description,
      createPr: this.#proposal === null && createPr,
      parentCommit: this.#head,
      clock: SYSTEM_CLOCK,
      random: systemRandom,
      signal: this.#signal,
    });
    // The next one of this upload is held to what this one has made.
    if (this.#head !== undefined) this.#head = made.oid ?? undefined;
    if (made.pullRequestUrl !== null) this.#proposal ??= pullRequestBranch(made.pullRequestUrl);
    this.#commits.push(made);
  }

  #done(file: Omit<HubUploadedFile, 'newBytes'> & { readonly newBytes?: number }): void {
    const done: HubUploadedFile = { newBytes: 0, ...file };
    this.#files.push(done);
    this.#options.onFile?.(done);
  }

  #fail(path: string, error: unknown): void {
    if (isOrbweaverError(error) && error.code === 'ABORTED') throw error;
    this.#failed.push(failedFile(path, error));
  }

  #tell(change: Partial<HubProgress>): void {
    this.#progress = { ...this.#progress, ...change, fileCount: this.#fileCount };
    this.#options.onProgress?.(this.#progress);
  }
}

/** Files that are looked at at once, and small ones that are read at once. */
const LOOK_AHEAD = 32;
/** What small files that are read at once have together, but for one that is larger alone. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** In their order. */
function* readTogether(files: readonly LookedAt[]): Generator<readonly LookedAt[]> {
  let some: LookedAt[] = [];
  let bytes = 0;
  for (const one of files) {
    if (
      some.length === LOOK_AHEAD ||
      (some.length > 0 && bytes + one.sizeBytes > READ_AHEAD_BYTES)
    ) {
      yield some;
      some = [];
      bytes = 0;
    }
    some.push(one);
    bytes += one.sizeBytes;
  }
  if (some.length > 0) yield some;
}

function titleOf(operations: readonly CommitOperation[]): string {
  const [first] = operations;
  const added = operations.filter(({ operation }) => operation !== 'delete').length;
  if (operations.length === 1 && first !== undefined) {
    return `${first.operation === 'delete' ? 'Delete' : 'Upload'} ${first.path}`;
  }
  if (added === 0) return `Delete ${operations.length} files`;
  return `Upload ${added} files`;
}

function checkFiles(files: readonly HubFile[]): void {
  const seen = new Set<string>();
  for (const { path, sha256 } of files) {
    checkRepoPath(path);
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(sha256)) {
      throw new TypeError(`"sha256" of "${path}" expected 64 hexadecimal digits`);
    }
    if (seen.has(path)) throw new OrbweaverError('USAGE', `"${path}" expected once, got twice`);
    seen.add(path);
  }
}

async function* none(): AsyncGenerator<never, void> {}
