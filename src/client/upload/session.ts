import { hexDecode } from '../../bytes/index.js';
import { createDedupSession, type DedupSession } from '../../dedup/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import type { Source } from '../ports.js';
import { CancelScope } from './cancel.js';
import { errorOf } from './file-error.js';
import { FileTask, type Sha256Plan } from './file-task.js';
import { GlobalQueries } from './queries.js';
import { registerShards } from './register.js';
import { UploadRun } from './run.js';
import { type UploadSizes, uploadSizes } from './sizes.js';
import { Tally } from './tally.js';
import {
  type AddOptions,
  DEFAULT_QUERY_TIMEOUT_MS,
  DEFAULT_READ_CONCURRENCY,
  DEFAULT_SEND_CONCURRENCY,
  type FailedFile,
  type FileResult,
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
 * const session = createUploadSession({ cas, pool, hasher: pool.kernels.hasher });
 * const file = await session.add(pathSource('model.safetensors'), { sha256: true });
 * const { xorbBytes } = await session.finish();
 * console.log(file.fileHash.toString(), xorbBytes);
 */
export function createUploadSession(options: UploadSessionOptions): UploadSession {
  const session = new Session(options);
  return {
    add: (source, addOptions) => session.add(source, addOptions),
    enqueue: (source, addOptions) => session.enqueue(source, addOptions),
    addKnownShard: (shard) => session.addKnownShard(shard),
    finish: () => session.finish(),
    abort: (reason) => session.abort(reason),
  };
}

/** One way through: an index of its own, a run, and what the server may be asked. */
interface Pass {
  readonly dedup: DedupSession;
  readonly run: UploadRun;
  readonly queries: GlobalQueries | null;
}

class Session implements UploadSession {
  readonly #parts: UploadSessionOptions;
  readonly #options: UploadOptions;
  readonly #sizes: UploadSizes;
  readonly #tally: Tally;
  readonly #scope = new CancelScope();
  readonly #files: FileTask[] = [];
  /** Files that are uploaded a second time. */
  readonly #again: FileTask[] = [];
  /** What the second time made of files of the first. */
  readonly #results = new Map<FileTask, FileResult | Error>();
  readonly #nowMs: () => number;
  readonly #unlink: () => void;
  #pass: Pass;
  #finishing = false;

  constructor(parts: UploadSessionOptions) {
    const options = parts.options ?? {};
    this.#parts = parts;
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#sizes = uploadSizes(parts.pool, {
      readConcurrency: positive(
        'readConcurrency',
        options.readConcurrency,
        DEFAULT_READ_CONCURRENCY,
      ),
      xorbMaxBytes: options.xorbMaxBytes,
    });
    this.#tally = new Tally(options.onProgress);
    this.#pass = this.#startPass(options.globalDedup ?? true);
    const { signal } = options;
    const onAbort = (): void => this.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#unlink = () => signal?.removeEventListener('abort', onAbort);
    if (signal?.aborted === true) onAbort();
  }

  add(source: Source, options: AddOptions = {}): Promise<FileResult> {
    const sha256 = sha256Plan(options.sha256);
    try {
      return this.#add(source, sha256).whenDone();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  enqueue(source: Source, options: AddOptions = {}): void {
    this.#add(source, sha256Plan(options.sha256));
  }

  addKnownShard(shard: Uint8Array): { readonly xorbs: number; readonly chunks: number } {
    return this.#pass.dedup.addShard(shard, 'local', this.#nowSeconds());
  }

  async finish(): Promise<UploadSummary> {
    this.#scope.check();
    if (this.#finishing) {
      throw new OrbweaverError('CLOSED', '"finish" expected to be called once');
    }
    this.#finishing = true;
    try {
      await this.#pass.run.finish(this.#files);
      const counts = { shardCount: 0, shardBytes: 0, queryCount: 0, answerCount: 0 };
      const refused = await this.#register(counts);
      if (refused.size > 0) await this.#repeat(refused, counts);
      return this.#summary(counts);
    } catch (error) {
      this.#end(error);
      throw this.#scope.error;
    } finally {
      this.#unlink();
      // What may still run (a query whose answer nobody waited for) is not needed any more.
      this.#scope.abort(closedError());
    }
  }

  abort(reason?: unknown): void {
    if (this.#scope.aborted) return;
    this.#scope.abort(reason);
    const { error } = this.#scope;
    for (const file of [...this.#files, ...this.#again]) file.fail(error);
    this.#unlink();
  }

  /** The session cannot go on: nothing may be registered that refers to what is missing. */
  #end(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.abort(
      isOrbweaverError(error)
        ? error
        : new OrbweaverError('INTERNAL', `the upload failed: ${reason}`, {}, error),
    );
  }

  #startPass(globalDedup: boolean): Pass {
    const { cas, pool, hasher } = this.#parts;
    const { placement } = this.#options;
    const scope = this.#scope;
    const dedup = createDedupSession({
      hasher,
      xorbMaxBytes: this.#sizes.xorbMaxBytes,
      ...(placement === undefined ? {} : { placement }),
    });
    const timeoutMs = this.#options.queryTimeoutMs ?? DEFAULT_QUERY_TIMEOUT_MS;
    const queries =
      globalDedup && cas !== null
        ? new GlobalQueries({ cas, dedup, timeoutMs, scope, nowMs: this.#nowMs })
        : null;
    const run = new UploadRun({
      cas: this.#options.dryRun === true ? null : cas,
      queries,
      pool,
      dedup,
      sizes: this.#sizes,
      sendConcurrency: positive(
        'sendConcurrency',
        this.#options.sendConcurrency,
        DEFAULT_SEND_CONCURRENCY,
      ),
      tally: this.#tally,
      scope,
      onFatal: (error) => this.#end(error),
    });
    return { dedup, run, queries };
  }

  #add(source: Source, sha256: Sha256Plan): FileTask {
    this.#scope.check();
    if (this.#finishing) {
      const text = '"session" expected one that takes files, got a finished one';
      throw new OrbweaverError('CLOSED', text);
    }
    const file = this.#newFile(source, sha256);
    this.#files.push(file);
    this.#tally.added(file);
    this.#pass.run.add(file);
    return file;
  }

  #newFile(source: Source, sha256: Sha256Plan): FileTask {
    const { dedup } = this.#pass;
    return new FileTask(source, sha256, ({ handle }) => {
      if (handle !== null) dedup.dropFile(handle);
    });
  }

  /** Registers what the current pass has made; returns files that have to be uploaded again. */
  async #register(counts: Counts): Promise<Map<string, Error>> {
    const { dedup, queries, run } = this.#pass;
    // The first shard, which is the only one as a rule, is made while the last xorbs are on their way.
    const shards = dedup.eachShard(this.#shardMaxBytes);
    const first = shards.next();
    await run.sent();
    this.#tally.phase = 'shards';
    this.#tally.tell();
    const { refused, shardCount, shardBytes } = await registerShards({
      cas: this.#options.dryRun === true ? null : this.#parts.cas,
      shards: startedWith(first, shards),
      acknowledged: this.#tally.acknowledged,
      scope: this.#scope,
      onShard: this.#options.onShard,
      onProgress: () => this.#tally.tell(),
    });
    counts.shardCount += shardCount;
    counts.shardBytes += shardBytes;
    counts.queryCount += queries?.queryCount ?? 0;
    counts.answerCount += queries?.answerCount ?? 0;
    return refused;
  }

  /**
   * Uploads refused files again, knowing only what this session has sent itself. A file that
   * cannot be read twice fails with the server's refusal.
   */
  async #repeat(refused: ReadonlyMap<string, Error>, counts: Counts): Promise<void> {
    const first = this.#pass.dedup;
    this.#pass = this.#startPass(false);
    // The xorbs that these shards list are the session's own, all of them acknowledged.
    for (const shard of first.eachShard(this.#shardMaxBytes)) {
      this.#pass.dedup.addShard(shard, 'local', this.#nowSeconds());
    }
    this.#tally.phase = 'data';
    const again = this.#again;
    for (const file of this.#files) {
      const done = await file.whenDone().catch(() => null);
      const refusal = done === null ? undefined : refused.get(done.fileHash.toString());
      if (done === null || refusal === undefined) continue;
      if (!file.source.reopenable) {
        this.#results.set(file, refusal);
        continue;
      }
      const repeated = this.#newFile(file.source, file.sha256);
      again.push(repeated);
      this.#pass.run.add(repeated);
      void repeated.whenDone().then(
        (second) => this.#results.set(file, combined(done, second)),
        (error: unknown) => this.#results.set(file, errorOf(error)),
      );
    }
    await this.#pass.run.finish(again);
    const refusedAgain = await this.#register(counts);
    // Everything it names was acknowledged in this session: no excuse is left.
    for (const [, error] of refusedAgain) throw error;
  }

  #summary(counts: Counts): UploadSummary {
    const files: FileResult[] = [];
    const failed: FailedFile[] = [];
    for (const file of this.#files) {
      // All of them have settled, with a result or an error.
      const result = this.#results.get(file) ?? file.error ?? file.result;
      if (result instanceof Error) failed.push({ name: file.source.name, error: result });
      else if (result !== null) files.push(result);
    }
    return {
      files,
      failed,
      xorbCount: this.#tally.xorbCount,
      xorbBytes: this.#tally.xorbBytes,
      knownXorbCount: this.#tally.knownXorbCount,
      ...counts,
      indexBytes: this.#pass.dedup.stats().indexBytes,
    };
  }

  get #shardMaxBytes(): number {
    return this.#options.shardMaxBytes ?? DEFAULT_SHARD_MAX_BYTES;
  }

  #nowSeconds(): number {
    return Math.floor(this.#nowMs() / 1000);
  }
}

type Counts = {
  -readonly [K in 'shardCount' | 'shardBytes' | 'queryCount' | 'answerCount']: UploadSummary[K];
};

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
  return {
    ...second,
    newBytes,
    dedupedBytes,
    sessionBytes: dedupedBytes,
    localBytes: 0,
    globalBytes: 0,
  };
}

function sha256Plan(wanted: boolean | string | undefined): Sha256Plan {
  if (wanted === undefined || wanted === false) return { kind: 'none' };
  if (wanted === true) return { kind: 'compute' };
  if (typeof wanted !== 'string' || !/^[0-9a-f]{64}$/i.test(wanted)) {
    throw new TypeError(`"sha256" expected a boolean or 64 hexadecimal digits, got ${wanted}`);
  }
  return { kind: 'given', digest: hexDecode(wanted) };
}

function positive(name: string, value: number | undefined, fallback: number): number {
  const used = value ?? fallback;
  if (!Number.isSafeInteger(used) || used < 1) {
    throw new RangeError(`"${name}" expected an integer of at least 1, got ${used}`);
  }
  return used;
}

function closedError(): OrbweaverError {
  return new OrbweaverError('CLOSED', 'the upload session is finished');
}
