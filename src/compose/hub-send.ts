import type { UploadProgress } from '../client/index.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { type CommitOperation, type PreuploadAnswer, pathsInfo } from '../hub/index.js';
import { createJournals } from '../io/index.js';
import type { OrbweaverClient, UploadedFile } from './client-types.js';
import type { HubUploadCommand } from './hub-command.js';
import type { HubCommits } from './hub-commits.js';
import { changedMs, type LookedAt } from './hub-content.js';
import { editOf } from './hub-edit.js';
import { takesNothing } from './hub-failures.js';
import type { HubParts } from './hub-parts.js';
import type { HubTally, HubUploading } from './hub-tally.js';
import type { HubProgress, HubUploadOptions, RepoAt } from './hub-types.js';
import { askLfs, sendWhole, sha256Of, type WantedFile } from './hub-whole.js';
import { inLanes } from './in-lanes.js';
import type { UploadInput } from './input.js';
import { partOf } from './transfer-command.js';

/** Files that are sent whole at once. */
const PARALLEL_WHOLE = 4;
/** Requests that these files, or parts of them, are sent by at once, as long as nobody says how many. */
const PARALLEL_PUTS = 8;

/** What a session has stored. */
interface Sent {
  readonly files: readonly { readonly file: UploadedFile; readonly looked: LookedAt }[];
  readonly sentBytes: number;
}

/** Sends the large files of one upload: as chunks to the store, or whole where there is none. */
export class HubSending {
  readonly #parts: HubParts;
  readonly #at: RepoAt;
  readonly #options: HubUploadOptions;
  readonly #signal: AbortSignal;
  readonly #tally: HubTally;
  readonly #commits: HubCommits;
  readonly #command: HubUploadCommand;
  /** Which of its uploads to the store is next. */
  #part = 0;
  /** Large files go whole: that was asked for, or there is no store. */
  #isWhole: boolean;

  constructor(
    { parts, at, options, signal, tally }: HubUploading,
    commits: HubCommits,
    command: HubUploadCommand,
  ) {
    this.#parts = parts;
    this.#at = at;
    this.#options = options;
    this.#signal = signal;
    this.#tally = tally;
    this.#commits = commits;
    this.#command = command;
    this.#isWhole = parts.transport === 'http' && at.repo.type !== 'bucket';
    if (this.#isWhole) tally.storeGivenUp = parts.storeGivenUp;
  }

  /** Resolves to the operations that name what was sent, or was there. */
  async store(
    looked: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): Promise<CommitOperation[]> {
    const hashed = this.#isWhole ? await this.#hashed(looked) : looked;
    const open = hashed.filter(({ file: { path, sha256 }, sizeBytes }) => {
      const isThere = sha256 !== undefined && sha256 === answers.get(path)?.oid;
      if (!isThere || !this.#commits.stays(path)) return true;
      this.#tally.done({ path, sizeBytes, how: 'unchanged', fileHash: null, sha256 });
      return false;
    });
    if (open.length === 0) return [];
    if (this.#at.repo.type === 'bucket') return this.#sendToBucket(open);
    const said = await askLfs(this.#parts, this.#at.repo, open, {
      isWhole: this.#isWhole,
      branch: this.#commits.branch(),
      signal: this.#signal,
    });
    if (said.isWhole && !this.#isWhole) {
      this.#noStore();
      return this.store(open, answers);
    }
    const operations: CommitOperation[] = [];
    const chunks: LookedAt[] = [];
    const whole: WantedFile[] = [];
    for (const one of open) {
      const { path, sha256 } = one.file;
      const answer = sha256 === undefined ? undefined : said.answers.get(sha256);
      if (sha256 === undefined || answer === undefined) chunks.push(one);
      else if (answer.kind === 'refused') this.#tally.fail(path, answer.error);
      else if (answer.kind === 'stored') operations.push(this.#wholeStored(one, sha256, 0));
      else if (this.#isWhole) whole.push({ looked: one, oid: sha256, answer });
      else chunks.push(one);
    }
    if (chunks.length > 0) operations.push(...(await this.#sendChunks(chunks, answers)));
    const { concurrency: puts = PARALLEL_PUTS } = this.#parts.options;
    const lanes = Math.max(1, Math.min(PARALLEL_WHOLE, puts, whole.length));
    const partsAtOnce = Math.max(1, Math.floor(puts / lanes));
    await inLanes(whole, { lanes, signal: this.#signal }, async (wanted) => {
      try {
        const { looked: one, oid } = wanted;
        const onBytes = this.#tally.counter();
        if (this.#options.dryRun === true) onBytes(one.sizeBytes);
        else await sendWhole(this.#parts, wanted, this.#signal, { onBytes, partsAtOnce });
        operations.push(this.#wholeStored(one, oid, one.sizeBytes));
      } catch (error) {
        if (this.#signal.aborted) throw error;
        this.#tally.fail(wanted.looked.file.path, error);
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
        this.#tally.fail(file.path, error);
      }
    }
    return hashed;
  }

  /** A large file that is there, as whole as it is. */
  #wholeStored({ file, sizeBytes }: LookedAt, sha256: string, sentBytes: number): CommitOperation {
    const { path } = file;
    const what = { path, sizeBytes, fileHash: null, sha256 };
    this.#tally.done({ ...what, how: 'stored', newBytes: sentBytes });
    this.#tally.sent(sentBytes);
    const { doneBytes, doneFileCount } = this.#tally.progress;
    // What was sent is counted already.
    const left = sizeBytes - sentBytes;
    this.#tally.tell({ doneBytes: doneBytes + left, doneFileCount: doneFileCount + 1 });
    return { operation: 'stored', ...what };
  }

  #noStore(): void {
    const reason = `${this.#at.repo.name} takes no chunks`;
    this.#isWhole = true;
    this.#tally.storeGivenUp = reason;
    this.#parts.options.onWarning?.(`${reason}: its large files are hashed first, and sent whole`);
  }

  /** Sends files to the store. */
  async #sendChunks(
    open: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
  ): Promise<CommitOperation[]> {
    const isBucket = this.#at.repo.type === 'bucket';
    const client = await this.#storeClient();
    if (client === null) return this.store(open, answers);
    const bases = await this.#present(open, answers);
    const before = this.#tally.progress;
    let result: Sent;
    try {
      result = await this.#send(client, open, bases, before);
    } catch (error) {
      const isForGood = !isBucket && this.#parts.transport === 'auto' && takesNothing(error);
      if (!isForGood || this.#signal.aborted) throw error;
      return this.#insteadWhole(open, answers, { before, error: error as OrbweaverError });
    }
    this.#tally.sent(result.sentBytes);
    const operations: CommitOperation[] = [];
    for (const { file, looked: one } of result.files) {
      const { path } = one.file;
      const { sizeBytes, fileHash, sha256, newBytes } = file;
      const isSame = isBucket ? fileHash === bases.get(path) : sha256 === answers.get(path)?.oid;
      const isThere = isSame && this.#commits.stays(path);
      const how = isThere ? 'unchanged' : 'stored';
      this.#tally.done({ path, sizeBytes, how, fileHash, sha256, newBytes });
      if (isThere) continue;
      const mtimeMs = isBucket ? await changedMs(one.file) : undefined;
      operations.push({ operation: 'stored', path, sha256, fileHash, sizeBytes, mtimeMs });
    }
    this.#tally.tell({
      doneBytes: before.doneBytes + open.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      wireBytes: before.wireBytes + result.sentBytes,
    });
    return operations;
  }

  /**
   * Sends files whole that a store has not taken for good. What it did take of them the Hub knows by their
   * SHA-256, so that is not sent again.
   * @throws OrbweaverError the failure of the store, where the Hub takes no whole files
   */
  async #insteadWhole(
    open: readonly LookedAt[],
    answers: ReadonlyMap<string, PreuploadAnswer>,
    { before, error }: { readonly before: HubProgress; readonly error: OrbweaverError },
  ): Promise<CommitOperation[]> {
    const { doneBytes, doneFileCount, wireBytes } = before;
    const lostBytes = this.#tally.progress.wireBytes - wireBytes;
    this.#isWhole = true;
    this.#tally.tell({ doneBytes, doneFileCount });
    let operations: CommitOperation[];
    try {
      operations = await this.store(open, answers);
    } catch (reason) {
      throw isOrbweaverError(reason) && reason.code === 'UNSUPPORTED' ? error : reason;
    }
    this.#tally.sent(lostBytes);
    this.#tally.storeGivenUp = error.message;
    this.#parts.giveUpStore(error.message);
    await this.#forget(error);
    return operations;
  }

  /** What would be gone on with is done in another way. */
  async #forget({ fields: { transferId } }: OrbweaverError): Promise<void> {
    const { stateFolder } = this.#parts.options;
    if (typeof stateFolder !== 'string' || typeof transferId !== 'string') return;
    // It ends by itself, too.
    await createJournals(stateFolder)
      .drop(transferId)
      .catch(() => false);
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
          this.#tally.sent(newBytes);
          const { doneBytes, wireBytes, doneFileCount } = this.#tally.progress;
          this.#tally.tell({
            doneBytes: doneBytes + sizeBytes,
            wireBytes: wireBytes + newBytes,
            doneFileCount: doneFileCount + 1,
          });
          const what = { path, sizeBytes, fileHash: done.fileHash, sha256: null };
          this.#tally.done({ ...what, how: 'stored', newBytes });
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
  ): Promise<Sent> {
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
        this.#tally.tell({
          doneBytes: before.doneBytes + doneBytes,
          wireBytes: before.wireBytes + sentBytes,
          doneFileCount: before.doneFileCount + doneFileCount,
        }),
    };
    const command = { ...this.#command, part: this.#part++ };
    const result = await client.upload(inputs, partOf(uploading, command));
    const { failed, bases: told } = this.#tally;
    failed.push(...result.failed);
    for (const each of result.bases ?? []) {
      if (!present.has(each.base) && !told.has(each.base)) told.set(each.base, each);
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
}
