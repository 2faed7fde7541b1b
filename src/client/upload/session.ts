import { hexDecode } from '../../bytes/index.js';
import { createDedupSession, type DedupSession } from '../../dedup/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { Deferred, Goodput, Scope } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import { HashTable, type ShardFile } from '../../shard/index.js';
import type { Source, UploadDestination } from '../ports.js';
import { type BaseInput, type BaseOutcome, learnBase } from './base.js';
import { FileTask, type Sha256Plan } from './file-task.js';
import { defaultKnowledgeBytes, Knowledge } from './knowledge.js';
import { KnownShards } from './known-shards.js';
import { Outcomes } from './outcomes.js';
import { Pipeline } from './pipeline.js';
import { GlobalQueries } from './queries.js';
import { type Registration, registerShards } from './register.js';
import { type Resumed, resumeXorbs } from './resumed.js';
import { type UploadSizes, uploadSizes } from './sizes.js';
import { storeDestination } from './store-destination.js';
import { StoredFiles } from './stored-files.js';
import { Tally } from './tally.js';
import {
  type AddOptions,
  DEFAULT_QUERY_TIMEOUT_MS,
  DEFAULT_READ_CONCURRENCY,
  DEFAULT_SEND_CONCURRENCY,
  type FileResult,
  MOST_SEND_CONCURRENCY,
  type UploadOptions,
  type UploadSession,
  type UploadSessionOptions,
  type UploadSummary,
} from './types.js';

/** Enough for tens of thousands of terms, and small against what it describes. */
const DEFAULT_SHARD_MAX_BYTES = 16 * 1024 * 1024;

/**
 * Starts an upload: files are cut, hashed, deduplicated against each other, against known shards
 * and the server, packed into xorbs, sent and registered.
 *
 * @throws RangeError, TypeError for options out of range
 *
 * @example
 * const session = createUploadSession({ cas, pool, hasher: pool.kernels.hasher, clock: SYSTEM_CLOCK });
 * const file = await session.add(pathSource('model.safetensors'), { sha256: true });
 * const { xorbBytes } = await session.finish();
 * console.log(file.fileHash.toString(), xorbBytes);
 */
export function createUploadSession(options: UploadSessionOptions): UploadSession {
  const session = new Session(options);
  return {
    add: (source, addOptions) => session.add(source, addOptions),
    enqueue: (source, addOptions) => session.enqueue(source, addOptions),
    enqueueKnown: (source, record, addOptions) => session.enqueueKnown(source, record, addOptions),
    ready: () => session.ready(),
    addKnownShard: (shard) => session.addKnownShard(shard),
    addBase: (base) => session.addBase(base),
    resume: (shards, resumeOptions) => session.resume(shards, resumeOptions),
    finish: () => session.finish(),
    abort: (reason) => session.abort(reason),
  };
}

/** A file that may have to be uploaded again: it refers to xorbs that are not ours. */
interface LeaningFile {
  readonly number: number;
  readonly source: Source;
  readonly sha256: Sha256Plan;
}

class Session implements UploadSession {
  readonly #parts: UploadSessionOptions;
  readonly #options: UploadOptions;
  readonly #scope: Scope;
  readonly #destination: UploadDestination | null;
  readonly #sizes: UploadSizes;
  readonly #dedup: DedupSession;
  readonly #knowledge: Knowledge;
  readonly #tally: Tally;
  readonly #queries: GlobalQueries | null;
  readonly #known: KnownShards | null;
  readonly #outcomes = new Outcomes();
  readonly #acknowledged = new HashTable();
  readonly #leaning: LeaningFile[] = [];
  /** Null: nobody wants to know. */
  readonly #stored: StoredFiles | null;
  /** Files without a result or an error, and who waits until there are none. */
  readonly #open = new Set<FileTask>();
  #allSettled: Deferred<void> | null = null;
  #pipeline: Pipeline;
  #finishing = false;
  /** Shards are being made: what is finished is registered. */
  #registering = false;
  #shardCount = 0;
  #shardBytes = 0;

  constructor(parts: UploadSessionOptions) {
    const { pool, hasher, cas, cache = null, clock, options = {} } = parts;
    const { dryRun = false, placement, globalDedup = true } = options;
    this.#parts = parts;
    this.#options = options;
    this.#sizes = uploadSizes(pool, {
      readConcurrency: atLeastOne(
        options,
        'readConcurrency',
        dryRun ? 1 : DEFAULT_READ_CONCURRENCY,
      ),
      xorbMaxBytes: options.xorbMaxBytes,
    });
    this.#dedup = createDedupSession({
      hasher,
      xorbMaxBytes: this.#sizes.xorbMaxBytes,
      ...(placement === undefined ? {} : { placement }),
    });
    const knowledgeBytes = atLeastOne(options, 'knowledgeMaxBytes', defaultKnowledgeBytes(pool));
    this.#knowledge = new Knowledge(this.#dedup, clock, knowledgeBytes);
    const { onStored } = parts;
    this.#stored =
      onStored === undefined || dryRun
        ? null
        : new StoredFiles({ dedup: this.#dedup, acknowledged: this.#acknowledged, onStored });
    this.#scope = new Scope({ clock, signal: options.signal, what: 'the upload' });
    const listener = options.onProgress;
    this.#tally = new Tally({ clock, scope: this.#scope, listener, dryRun });
    const store = cas === null ? null : storeDestination(cas, this.#scope);
    this.#destination = dryRun ? null : (parts.destination ?? store);
    const timeoutMs = options.queryTimeoutMs ?? DEFAULT_QUERY_TIMEOUT_MS;
    this.#queries =
      globalDedup && cas !== null
        ? new GlobalQueries({
            cas,
            knowledge: this.#knowledge,
            unknownOf: (hashes) => this.#dedup.unknownOf(hashes),
            timeoutMs,
            scope: this.#scope,
          })
        : null;
    this.#known =
      cache !== null && cas !== null
        ? new KnownShards({
            cache,
            store: cas,
            knowledge: this.#knowledge,
            scope: this.#scope,
            timeoutMs,
          })
        : null;
    this.#scope.onEnd(() => {
      for (const file of this.#open) file.fail(this.#scope.reason);
    });
    this.#pipeline = this.#newPipeline('knowing');
  }

  add(source: Source, options: AddOptions = {}): Promise<FileResult> {
    const sha256 = sha256Plan(options.sha256);
    try {
      return this.#add(source, sha256, options).whenDone();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  enqueue(source: Source, options: AddOptions = {}): void {
    this.#add(source, sha256Plan(options.sha256), options);
  }

  enqueueKnown(source: Source, record: ShardFile, options: AddOptions = {}): void {
    this.#checkTakes();
    const sha256 = sha256Plan(options.sha256);
    const number = this.#outcomes.add(source.name);
    const summary = this.#dedup.adoptFile(record);
    const digest = sha256.kind === 'none' ? null : record.sha256;
    this.#outcomes.done(number, { ...summary, unchanged: true }, digest);
    this.#stored?.finished(null);
    this.#leaning.push({ number, source, sha256 });
    this.#knowledge.remembered(this.#outcomes.memoryBytes);
    this.#tally.skipped(summary.sizeBytes);
    const finished = this.#dedup.finishedCount - 1;
    const cancel = (error: Error): void => this.#withdraw(number, finished, error);
    this.#listen(options.signal, source, cancel);
  }

  ready(): Promise<void> | null {
    return this.#pipeline.ready();
  }

  addKnownShard(shard: Uint8Array): { readonly xorbs: number; readonly chunks: number } {
    return this.#knowledge.learn(shard, 'local');
  }

  async addBase(base: BaseInput): Promise<BaseOutcome> {
    this.#scope.check();
    const { cas, pool, hasher, clock } = this.#parts;
    if (cas === null) {
      const problem = 'no server to ask about it; the upload goes on without it';
      const name = base instanceof MerkleHash ? base.toString() : base.name;
      return { name, fileHash: null, knownChunks: 0, readBytes: 0, problem };
    }
    const [knowledge, scope] = [this.#knowledge, this.#scope];
    return learnBase(base, { cas, pool, hasher, clock, knowledge, scope });
  }

  async resume(
    shards: AsyncIterable<Uint8Array>,
    { trusts }: { readonly trusts: boolean },
  ): Promise<Resumed> {
    this.#scope.check();
    const resumed = await resumeXorbs(shards, {
      dedup: this.#dedup,
      store: this.#parts.cas ?? {},
      scope: this.#scope,
      acknowledged: this.#acknowledged,
      trusts,
    });
    this.#knowledge.remembered(this.#outcomes.memoryBytes);
    return resumed;
  }

  async finish(): Promise<UploadSummary> {
    this.#scope.check();
    if (this.#finishing) {
      throw new OrbweaverError('CLOSED', '"finish" expected to be called once');
    }
    this.#finishing = true;
    try {
      const registration = await this.#register();
      if (registration.refused.size > 0) {
        await this.#known?.refused(registration.foreign);
        await this.#repeat(registration);
      }
      await this.#known?.written();
      const summary = this.#summary();
      this.#tally.enter('done');
      return summary;
    } catch (error) {
      this.#end(error);
      throw this.#scope.reason;
    } finally {
      // What may still run (a query whose response nobody waited for) is not needed any more.
      this.#scope.close();
    }
  }

  abort(reason?: unknown): void {
    this.#scope.end(reason);
  }

  /** The session cannot go on: nothing may be registered that refers to what is missing. */
  #end(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#scope.end(
      isOrbweaverError(error)
        ? error
        : new OrbweaverError('INTERNAL', `the upload failed: ${reason}`, {}, error),
    );
  }

  #newPipeline(mode: 'knowing' | 'alone'): Pipeline {
    const { pool, clock, journal = {} } = this.#parts;
    return new Pipeline({
      consumer: this.#destination?.xorbs ?? null,
      journal,
      known: mode === 'knowing' ? this.#known : null,
      queries: mode === 'knowing' ? this.#queries : null,
      pool,
      dedup: this.#dedup,
      sizes: this.#sizes,
      sendConcurrency: atLeastOne(this.#options, 'sendConcurrency', DEFAULT_SEND_CONCURRENCY),
      goodput:
        this.#options.sendConcurrency === undefined
          ? new Goodput({ clock, start: DEFAULT_SEND_CONCURRENCY, most: MOST_SEND_CONCURRENCY })
          : null,
      tally: this.#tally,
      scope: this.#scope,
      onPlaced: (file) => this.#placed(file),
      onGrown: () => this.#knowledge.remembered(this.#outcomes.memoryBytes),
      onAcknowledged: ({ hash }) => {
        this.#acknowledged.add(hash.bytes, 0);
        this.#stored?.check();
      },
      onFatal: (error) => this.#end(error),
    });
  }

  #checkTakes(): void {
    this.#scope.check();
    if (!this.#finishing) return;
    const text = '"session" expected one that takes files, got a finished one';
    throw new OrbweaverError('CLOSED', text);
  }

  #add(source: Source, sha256: Sha256Plan, { onChunks, signal }: AddOptions): FileTask {
    this.#checkTakes();
    const file = this.#newFile(this.#outcomes.add(source.name), source, sha256);
    file.onChunks = onChunks ?? null;
    this.#tally.added(file);
    this.#listen(signal, source, (error) => {
      if (!file.isSettled) file.fail(error);
      else if (file.error === null) this.#withdraw(file.number, file.finishedNumber, error);
    });
    return file;
  }

  /** Calls `cancel` when the signal of one file fires, while the session lives. */
  #listen(
    signal: AbortSignal | undefined,
    { name }: Source,
    cancel: (error: OrbweaverError) => void,
  ): void {
    if (signal === undefined) return;
    const onAbort = (): void =>
      cancel(new OrbweaverError('ABORTED', `"${name}" was cancelled`, { name }, signal.reason));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    this.#scope.onEnd(() => signal.removeEventListener('abort', onAbort));
  }

  /** A file that is read and placed is not registered after all, unless that has begun. */
  #withdraw(number: number, finished: number, error: Error): void {
    if (this.#registering) return;
    this.#dedup.dropFinished(finished);
    this.#outcomes.fail(number, error);
  }

  #newFile(number: number, source: Source, sha256: Sha256Plan): FileTask {
    const file = new FileTask(number, source, sha256, (settled) => this.#settled(settled));
    this.#open.add(file);
    this.#pipeline.add(file);
    return file;
  }

  #settled(file: FileTask): void {
    this.#open.delete(file);
    if (file.error !== null) {
      if (file.handle !== null) this.#dedup.dropFile(file.handle);
      file.handle = null;
      this.#outcomes.fail(file.number, file.error);
    }
    if (this.#open.size === 0) this.#allSettled?.resolve();
  }

  /** All chunks of the file have their place: it is done when its source agrees that it has ended. */
  #placed(file: FileTask): void {
    if (file.isRead && (file.sha256.kind === 'none' || file.digest !== null)) {
      this.#finishFile(file);
      return;
    }
    Promise.all([this.#digestOf(file), file.whenRead()]).then(
      () => this.#finishFile(file),
      (error: unknown) => file.fail(error),
    );
  }

  async #digestOf(file: FileTask): Promise<void> {
    if (file.sha256.kind === 'none' || file.digest !== null) return;
    file.sha256Stream ??= this.#parts.pool.createSha256();
    file.digest = await file.sha256Stream.digest();
  }

  /** The file is read and placed: notes what it is made of. */
  #finishFile(file: FileTask): void {
    if (file.isSettled) return;
    const { source, sha256, number, digest } = file;
    try {
      this.#scope.check();
      const handle = file.handle ?? this.#dedup.openFile();
      file.handle = null;
      const summary = this.#dedup.finishFile(handle, digest ?? undefined);
      file.finishedNumber = this.#dedup.finishedCount - 1;
      if (summary.sizeBytes !== file.readBytes) {
        throw new OrbweaverError(
          'INTERNAL',
          `chunks of "${source.name}" expected ${file.readBytes} bytes, got ${summary.sizeBytes}`,
        );
      }
      this.#stored?.finished(source.identity ?? null);
      this.#outcomes.done(number, { ...summary, unchanged: false }, digest);
      if (summary.localBytes + summary.globalBytes > 0) {
        this.#leaning.push({ number, source, sha256 });
      }
      file.finish(() => this.#outcomes.get(number) as FileResult);
      this.#tally.done();
    } catch (error) {
      file.fail(error);
    }
  }

  /** Waits for all files, and registers them; returns those that have to be uploaded again. */
  async #register(): Promise<Registration> {
    const pipeline = this.#pipeline;
    const tally = this.#tally;
    pipeline.endOfFiles();
    if (this.#open.size > 0) {
      this.#allSettled = new Deferred();
      await this.#scope.race(this.#allSettled.promise);
    }
    tally.enter('sending');
    await pipeline.packed();
    this.#registering = true;
    // The first shard, which is the only one as a rule, is made while the last xorbs are on their way.
    const shards = this.#dedup.eachShard(this.#options.shardMaxBytes ?? DEFAULT_SHARD_MAX_BYTES);
    const first = shards.next();
    await pipeline.sent();
    this.#stored?.check();
    tally.enter('registering');
    const { onShard, dryRun = false } = this.#options;
    const { clock, destination } = this.#parts;
    // What another destination has taken, the store does not have.
    const remembers = !dryRun && destination === undefined;
    const registration = await registerShards({
      consumer: this.#destination?.shards ?? null,
      journal: this.#parts.journal ?? {},
      shards: startedWith(first, shards),
      acknowledged: this.#acknowledged,
      scope: this.#scope,
      onShard: (shard) => {
        if (remembers) this.#known?.remember(shard, clock.unixMs() / 1000);
        if (onShard !== undefined) tally.call(() => onShard(shard));
      },
      onProgress: (finalization) => {
        tally.finalization = finalization;
        tally.tell();
      },
    });
    this.#shardCount += registration.shardCount;
    this.#shardBytes += registration.shardBytes;
    return registration;
  }

  /**
   * Uploads refused files again, knowing only what this session has sent itself; those of its xorbs that
   * no shard lists yet are listed now. A file that cannot be read twice fails with the refusal.
   */
  async #repeat({ refused, unlisted }: Registration): Promise<void> {
    this.#dedup.startOver(
      (xorb) => unlisted.indexOf(xorb.bytes, 0) < 0,
      (xorb) => this.#acknowledged.indexOf(xorb.bytes, 0) >= 0,
    );
    this.#stored?.restart();
    this.#knowledge.forget();
    this.#pipeline = this.#newPipeline('alone');
    this.#tally.enter('reading');
    const repeats: Promise<void>[] = [];
    for (const { number, source, sha256 } of this.#leaning.splice(0)) {
      const first = this.#outcomes.get(number);
      const refusal = first === null ? undefined : refused.get(first.fileHash.toString());
      if (first === null || refusal === undefined) continue;
      if (!source.reopenable) {
        this.#outcomes.fail(number, refusal);
        continue;
      }
      const again = this.#newFile(number, source, sha256);
      this.#tally.repeated(again);
      const repeat = again.whenDone().then(
        (second) => this.#outcomes.done(number, combined(first, second), again.digest),
        () => undefined,
      );
      repeats.push(repeat);
    }
    const { refused: refusedAgain } = await this.#register();
    // Everything it names was acknowledged in this session: no excuse is left.
    for (const [, error] of refusedAgain) throw error;
    await Promise.all(repeats);
  }

  #summary(): UploadSummary {
    const outcomes = this.#outcomes;
    const { onFile } = this.#options;
    if (onFile !== undefined) {
      let failed = false;
      const noted = (): void => {
        failed = true;
      };
      for (const file of outcomes.results()) {
        if (failed) break;
        this.#tally.call(() => onFile(file), noted);
      }
    }
    let files: readonly FileResult[] | null = null;
    const { xorbCount, xorbBytes, knownXorbCount, listenerError } = this.#tally;
    return {
      get files() {
        files ??= [...outcomes.results()];
        return files;
      },
      failed: outcomes.failed(),
      xorbCount,
      xorbBytes,
      knownXorbCount,
      shardCount: this.#shardCount,
      shardBytes: this.#shardBytes,
      queryCount: this.#queries?.queryCount ?? 0,
      responseCount: this.#queries?.responseCount ?? 0,
      indexBytes: this.#dedup.stats().indexBytes,
      knowledgePeakBytes: this.#knowledge.budget.peakBytes,
      ...(listenerError === null ? {} : { listenerError }),
    };
  }
}

/** What a generator gives whose first step was taken before. */
function* startedWith<T>(first: IteratorResult<T>, rest: Iterable<T>): Generator<T> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

/** The result of a file whose first upload was refused: what both passes stored for it is new. */
function combined(first: FileResult, second: FileResult): FileResult {
  const newBytes = Math.min(second.sizeBytes, first.newBytes + second.newBytes);
  const dedupedBytes = second.sizeBytes - newBytes;
  const known = { sessionBytes: dedupedBytes, localBytes: 0, globalBytes: 0 };
  return { ...second, newBytes, dedupedBytes, ...known };
}

function sha256Plan(wanted: boolean | string | undefined): Sha256Plan {
  if (wanted === undefined || wanted === false) return { kind: 'none' };
  if (wanted === true) return { kind: 'compute' };
  if (typeof wanted !== 'string' || !/^[0-9a-f]{64}$/i.test(wanted)) {
    throw new TypeError(`"sha256" expected a boolean or 64 hexadecimal digits, got ${wanted}`);
  }
  return { kind: 'given', digest: hexDecode(wanted) };
}

/** @throws RangeError */
function atLeastOne(
  options: UploadOptions,
  name: 'readConcurrency' | 'sendConcurrency' | 'knowledgeMaxBytes',
  fallback: number,
): number {
  const value = options[name] ?? fallback;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new RangeError(`"${name}" expected an integer of at least 1, got ${value}`);
}
