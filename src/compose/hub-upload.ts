import { OrbweaverError } from '../errors.js';
import {
  checkRepoPath,
  PREUPLOAD_FILES,
  type PreuploadAnswer,
  type PreuploadRules,
  preupload,
  SAMPLE_BYTES,
} from '../hub/index.js';
import { gitBlobId } from '../io/index.js';
import { filesCommand, type HubUploadCommand } from './hub-command.js';
import {
  copyOf,
  type Deletions,
  HubCommits,
  type InlineOperation,
  splitDeletions,
} from './hub-commits.js';
import { bytesOf, type LookedAt, lookAt } from './hub-content.js';
import { type HubParts, repoAt } from './hub-parts.js';
import { HubSending } from './hub-send.js';
import { HubTally, type HubUploading } from './hub-tally.js';
import type { HubFile, HubUploadOptions, HubUploadResult } from './hub-types.js';

/**
 * Files of one commit. Of what is uploaded half a kilobyte each is remembered until it is committed;
 * the Hub takes commits of this size.
 */
const COMMIT_FILES = 10_000;
/** A larger file is not sent inline, whatever the Hub asks for (its own limit is 10 MB). */
const MAX_INLINE_FILE_BYTES = 16 * 1024 * 1024;
/** A larger file of rules is the server's alone to read. */
const MAX_RULES_BYTES = 256 * 1024;
/** Questions of a preupload that are on their way at once. */
const PARALLEL_QUESTIONS = 4;

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
export async function uploadAs(
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
    const tally = new HubTally(files.length, options);
    const uploading = { parts, at: repoAt(options), options, signal, tally };
    const commits = new HubCommits(uploading, deletions.first, copies);
    const run = new HubUploadRun(uploading, commits, command);
    await run.upload(files, deletions);
    return run.result(performance.now() - startedAt);
  });
}

/** Finds out how each file is to be sent, reads the small ones, and has the rest sent and all committed. */
class HubUploadRun {
  readonly #uploading: HubUploading;
  readonly #commits: HubCommits;
  readonly #sending: HubSending;
  #rules: PreuploadRules = {};

  constructor(uploading: HubUploading, commits: HubCommits, command: HubUploadCommand) {
    this.#uploading = uploading;
    this.#commits = commits;
    this.#sending = new HubSending(uploading, commits, command);
  }

  async upload(files: readonly HubFile[], { first, last }: Deletions): Promise<void> {
    this.#rules = await this.#rulesOf(files);
    if (files.length === 0) await this.#commits.commit([], { first, last });
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
    const isBucket = this.#uploading.at.repo.type === 'bucket';
    const answers = isBucket ? new Map<string, PreuploadAnswer>() : await this.#ask(looked);
    const stored: LookedAt[] = [];
    const inline: LookedAt[] = [];
    for (const one of looked) {
      const answer = answers.get(one.file.path);
      if (answer?.isIgnored === true) {
        this.#skip(one);
        continue;
      }
      const isInline = answer?.mode === 'regular' && one.sizeBytes <= MAX_INLINE_FILE_BYTES;
      (isInline ? inline : stored).push(one);
    }
    const operations = await this.#sending.store(stored, answers);
    await this.#commits.commit(operations, deletions, this.#inlined(inline, answers));
  }

  /** The rules among the files; what is wrong with one of these is told when its turn comes. */
  async #rulesOf(files: readonly HubFile[]): Promise<PreuploadRules> {
    const textOf = async (name: string): Promise<string | undefined> => {
      const file = files.find(({ path }) => path === name);
      if (file === undefined || this.#uploading.at.repo.type === 'bucket') return undefined;
      try {
        const { sizeBytes, sample } = await lookAt(file, MAX_RULES_BYTES, this.#uploading.signal);
        return sizeBytes > MAX_RULES_BYTES ? undefined : new TextDecoder().decode(sample);
      } catch (error) {
        if (this.#uploading.signal.aborted) throw error;
        return undefined;
      }
    };
    return {
      gitIgnore: await textOf('.gitignore'),
      gitAttributes: await textOf('.gitattributes'),
    };
  }

  #skip({ file: { path }, sizeBytes }: LookedAt): void {
    const { tally } = this.#uploading;
    tally.skipped.push({ path, reason: 'named by the .gitignore of the repository' });
    const { totalBytes, fileCount } = tally.progress;
    tally.tell({ totalBytes: totalBytes - sizeBytes, fileCount: fileCount - 1 });
  }

  result(wallMs: number): HubUploadResult {
    const { files, failed, skipped, bases, storeGivenUp, sentBytes } = this.#uploading.tally;
    const { made: commits, deletedPaths } = this.#commits;
    return {
      ...{ commits, files, failed, deletedPaths, skipped },
      ...(storeGivenUp === null ? {} : { storeGivenUp }),
      ...(bases.size === 0 ? {} : { bases: [...bases.values()] }),
      sentBytes,
      wallMs,
    };
  }

  async #lookAt(files: readonly HubFile[]): Promise<LookedAt[]> {
    const looked: LookedAt[] = [];
    // A bucket is not asked how it wants them.
    const sampleBytes = this.#uploading.at.repo.type === 'bucket' ? 0 : SAMPLE_BYTES;
    for (let start = 0; start < files.length; start += LOOK_AHEAD) {
      const some = files.slice(start, start + LOOK_AHEAD);
      const found = await Promise.all(
        some.map((file) =>
          lookAt(file, sampleBytes, this.#uploading.signal).catch((error: unknown) => ({ error })),
        ),
      );
      for (const [i, one] of found.entries()) {
        if ('error' in one) this.#uploading.tally.fail((some[i] as HubFile).path, one.error);
        else looked.push(one);
      }
    }
    const totalBytes = looked.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#uploading.tally.tell({
      totalBytes: this.#uploading.tally.progress.totalBytes + totalBytes,
    });
    return looked;
  }

  async #ask(looked: readonly LookedAt[]): Promise<Map<string, PreuploadAnswer>> {
    const { repo, revision } = this.#uploading.at;
    const { createPr = false } = this.#uploading.options;
    const { signal } = this.#uploading;
    const all = new Map<string, PreuploadAnswer>();
    const step = PREUPLOAD_FILES * PARALLEL_QUESTIONS;
    for (let start = 0; start < looked.length; start += step) {
      const questions: Promise<ReadonlyMap<string, PreuploadAnswer>>[] = [];
      for (let at = start; at < Math.min(start + step, looked.length); at += PREUPLOAD_FILES) {
        const files = looked
          .slice(at, Math.min(at + PREUPLOAD_FILES, start + step))
          .map(({ file: { path }, sizeBytes, sample }) => ({ path, sizeBytes, sample }));
        const options = { revision, createPr, rules: this.#rules, signal };
        questions.push(preupload(this.#uploading.parts.http, repo, files, options));
      }
      for (const answers of await Promise.all(questions)) {
        for (const [path, answer] of answers) all.set(path, answer);
      }
    }
    return all;
  }

  /** Reads the files that the commit carries, without those that are there already. */
  async *#inlined(
    inline: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): AsyncGenerator<InlineOperation, void> {
    for (const some of readTogether(inline)) {
      const contents = await Promise.all(
        some.map(({ source, sizeBytes }) =>
          bytesOf(source, sizeBytes, this.#uploading.signal).catch((error: unknown) => ({ error })),
        ),
      );
      for (const [i, { file, sizeBytes }] of some.entries()) {
        const { path } = file;
        const bytes = contents[i] as Uint8Array | { readonly error: unknown };
        if ('error' in bytes) {
          this.#uploading.tally.fail(path, bytes.error);
          continue;
        }
        const isThere = answers.get(path)?.oid === gitBlobId(bytes) && this.#commits.stays(path);
        const how = isThere ? 'unchanged' : 'inline';
        this.#uploading.tally.done({ path, sizeBytes, how, fileHash: null, sha256: null });
        this.#uploading.tally.tell({
          doneBytes: this.#uploading.tally.progress.doneBytes + sizeBytes,
          doneFileCount: this.#uploading.tally.progress.doneFileCount + 1,
        });
        if (!isThere) yield { operation: 'inline', path, bytes };
      }
    }
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
