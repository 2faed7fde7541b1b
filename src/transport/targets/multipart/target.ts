import { joinedBody, textBody } from '../../../http/index.js';
import { checkOptions } from '../../../options/index.js';
import { targetError } from '../errors.js';
import { createTargetHttp, type TargetHttp, type TargetResponse } from '../http.js';
import type {
  Checked,
  Done,
  Part,
  PartAck,
  PartBody,
  Pending,
  Plan,
  PriorTransfer,
  StepContext,
  UploadTarget,
} from '../ports.js';
import { CHUNK_NOTE, MultipartApi, protocolError, unmatchable } from './api.js';
import { missingParts, planOf } from './layout.js';
import {
  DEFAULT_PARALLEL_PARTS,
  MAX_CHUNK_BYTES,
  MIN_CHUNK_BYTES,
  MULTIPART_RULES,
  type MultipartTargetOptions,
} from './options.js';
import {
  ENDS_ABOVE_BYTES,
  evidenceOf,
  lookupHash,
  type RemoteFile,
  readFile,
  readFraction,
  readStatus,
  readTaskId,
  readUploaded,
  record,
} from './responses.js';

/**
 * Chunked uploads (create, chunk, complete) to a Drive service. Four generations of it answer under the
 * same paths and name no version, so each is known by how it behaves:
 *
 *     create     no `file_exists`            g2        complete   202            g1a
 *     resume     404 without JSON            g0        errors     `{error}`      g2
 *
 * The hash of a request is only what the server looks files up by; what is there is checked against
 * what the server says it stored.
 */

const CHUNK_TIMEOUT_MS = 120_000;
/** Merging is slow, and giving up early would leave the outcome unknown. */
const COMPLETE_TIMEOUT_MS = 600_000;
const POLL_MS = { first: 1000, most: 5000 } as const;

/**
 * @throws TypeError, RangeError for options out of range
 * @example
 * const target = createMultipartTarget({ exchange, url: 'https://host/drive', token, clock, random });
 * const { ids } = await runTarget(source, target, { clock, random, digests });
 */
export function createMultipartTarget(options: MultipartTargetOptions): UploadTarget {
  checkOptions('createMultipartTarget', options, MULTIPART_RULES);
  const { exchange, clock, random, token, dedup = true, encryptPassword } = options;
  const { chunkBytes, parallelParts = DEFAULT_PARALLEL_PARTS } = options;
  checkRange('chunkBytes', chunkBytes, MIN_CHUNK_BYTES, MAX_CHUNK_BYTES);
  checkRange('parallelParts', parallelParts, 1, 64);
  const http = createTargetHttp({
    kind: 'multipart',
    exchange,
    clock,
    random,
    token,
    secrets: encryptPassword === undefined ? [] : [encryptPassword],
  });
  const calls = new MultipartCalls(http, options);
  return {
    kind: 'multipart',
    abilities: {
      unit: 'fixed-parts',
      parallelParts,
      resume: 'parts',
      dedup: dedup ? 'file' : 'none',
      asyncCommit: true,
      costsMoney: false,
      cancel: 'server',
    },
    digests: {
      beforePlan: dedup ? ['md5', 'md5Ends'] : [],
      beforeCommit: ['md5', 'md5Ends', 'sha256'],
    },
    repeatable: { send: 'yes', commit: 'after-check' },
    plan: (context, prior) => calls.plan(context, prior),
    send: (plan, part, body, context) => calls.send({ plan, part, body, context }),
    commit: (plan, _acks, context) => calls.commit(plan, context),
    status: (plan, pending, context) => calls.status(plan, pending, context),
    check: (plan, step, context) =>
      step.step === 'commit' ? calls.check(plan, context) : Promise.resolve({ made: 'no' }),
    cancel: (plan, context) => calls.cancel(plan, context),
  };
}

interface SendCall {
  readonly plan: Plan;
  readonly part: Part;
  readonly body: PartBody;
  readonly context: StepContext;
}

/** The requests of the protocol and what they mean. */
class MultipartCalls {
  readonly #http: TargetHttp;
  readonly #options: MultipartTargetOptions;
  readonly #api: MultipartApi;
  readonly #hash: 'auto' | 'md5-full';

  constructor(http: TargetHttp, options: MultipartTargetOptions) {
    this.#http = http;
    this.#options = options;
    this.#api = new MultipartApi(http, options);
    this.#hash = options.hash ?? 'auto';
  }

  async plan(context: StepContext, prior?: PriorTransfer): Promise<Plan> {
    const resumed = prior === undefined ? null : await this.#resume(context, prior);
    if (resumed !== null) return resumed;
    const { dedup = true, trustFastHash = false } = this.#options;
    const { sizeBytes } = context.source;
    const hash = dedup ? lookupHash(context, this.#hash) : null;
    const created = await this.#api.create(context, hash ?? unmatchable(context));
    if (!created.exists) return planOf(created, context);
    const isWeak = sizeBytes > ENDS_ABOVE_BYTES && this.#hash === 'auto';
    const isSame = created.file.sizeBytes === sizeBytes && (!isWeak || trustFastHash);
    if (isSame) {
      const { id } = created.file;
      // The size alone: that the hash is ours is only what was asked for, and anybody may have put
      // anything there.
      const evidence = { sizeBytes };
      const done: Done = { state: 'done', ids: { file_id: id }, deduplicated: true, evidence };
      return { ids: { file_id: id }, state: {}, parts: [], done };
    }
    const again = await this.#api.create(context, unmatchable(context));
    if (again.exists)
      throw protocolError('the server found a file under a hash that none can have');
    return planOf(again, context);
  }

  async send({ plan, part, body, context }: SendCall): Promise<PartAck> {
    const boundary = `orbweaver-${crypto.randomUUID()}`;
    const head =
      `--${boundary}\r\nContent-Disposition: form-data; name="chunk"; filename="chunk"\r\n` +
      'Content-Type: application/octet-stream\r\n\r\n';
    const response = await this.#http.request({
      method: 'POST',
      url: this.#api.url(`chunk/${encodeURIComponent(taskOf(plan))}/${part.index}`),
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      body: async () =>
        joinedBody([textBody(head), await body.open(), textBody(`\r\n--${boundary}--\r\n`)]),
      // The engine repeats it, from the same memory.
      repeatable: false,
      signal: context.signal,
      timeoutMs: CHUNK_TIMEOUT_MS,
    });
    // One of its documents promises 409 for a chunk that is there.
    if (response.status === 200 || response.status === 409) return { index: part.index };
    throw await this.#chunkFailure(response, plan, context);
  }

  async commit(plan: Plan, context: StepContext): Promise<Pending | Done> {
    const task = taskOf(plan);
    const response = await this.#http.request({
      method: 'POST',
      url: this.#api.url(`complete/${encodeURIComponent(task)}`),
      repeatable: false,
      signal: context.signal,
      timeoutMs: COMPLETE_TIMEOUT_MS,
    });
    if (response.status === 202) {
      const ids = { task_id: readTaskId(response.json) ?? task };
      return {
        state: 'pending',
        ids,
        progress: { stage: 'processing', fraction: null },
        pollMs: POLL_MS,
      };
    }
    if (response.status === 200) {
      const file = readFile(response.json);
      if (file === null) throw protocolError('"file" expected an object with an id', plan.ids);
      return this.#done(file, context);
    }
    const failure = this.#http.failure(response, { what: 'completing the upload', ids: plan.ids });
    if (response.status === 400 || response.status === 500) {
      // Missing chunks have no code of their own: whether the task is still there tells what to do.
      const { json, status } = await this.#api.get('resume', task, context);
      const isOpen = status === 200 && readUploaded(json) !== null;
      throw this.#again('the server misses chunks', plan, { keepsParts: isOpen, cause: failure });
    }
    // Gone: perhaps because an earlier request was carried out.
    if (response.status === 404)
      throw this.#unknown('the server knows no such upload', plan, failure);
    throw failure;
  }

  async status(
    plan: Plan,
    pending: Pending,
    context: StepContext,
  ): ReturnType<UploadTarget['status']> {
    const task = pending.ids['task_id'] ?? taskOf(plan);
    const response = await this.#api.get('progress', task, context);
    const state = response.status === 200 ? readStatus(response.json) : 'completed';
    if (response.status !== 200 && response.status !== 404) {
      throw this.#http.failure(response, { what: 'asking for the progress', ids: pending.ids });
    }
    if (state === 'running') {
      return {
        ...pending,
        progress: { stage: 'processing', fraction: readFraction(response.json) },
      };
    }
    const file = state === 'completed' ? await this.#api.find(context) : null;
    if (file !== null) return this.#done(file, context);
    return {
      state: 'failed',
      ids: pending.ids,
      error: targetError({
        kind: 'multipart',
        class: 'transient',
        message: 'the server took the upload and did not make a file of it; send it again',
        ids: pending.ids,
      }),
    };
  }

  /** Whether a completion was carried out of which no response came. */
  async check(plan: Plan, context: StepContext): Promise<Checked> {
    const task = taskOf(plan);
    const resumed = await this.#api.get('resume', task, context);
    if (resumed.status === 200 && readUploaded(resumed.json) !== null) return { made: 'no' };
    for (const route of ['status', 'progress'] as const) {
      const { status, json } = await this.#api.get(route, task, context);
      if (status !== 200) continue;
      const fileId = record(json)['file_id'];
      if (typeof fileId === 'string' && fileId !== '') {
        return {
          made: 'yes',
          result: this.#done({ id: fileId, sizeBytes: null, hash: null }, context),
        };
      }
      if (readStatus(json) !== 'running') break;
      const progress = { stage: 'processing', fraction: readFraction(json) };
      const ids = { task_id: task };
      return { made: 'yes', result: { state: 'pending', ids, progress, pollMs: POLL_MS } };
    }
    const file = await this.#api.find(context);
    if (file !== null) return { made: 'yes', result: this.#done(file, context) };
    // A server that finds files by hash has said that it has none; the other kind has said nothing.
    return { made: plan.state['finds'] === false ? 'unknown' : 'gone' };
  }

  async cancel(plan: Plan, context: StepContext): Promise<'cancelled' | 'unsupported'> {
    const task = taskOf(plan);
    if (task === '') return 'unsupported';
    return (await this.#api.drop(task, context)) ? 'cancelled' : 'unsupported';
  }

  /** Null: the earlier task is gone, or is about something else. */
  async #resume(context: StepContext, prior: PriorTransfer): Promise<Plan | null> {
    const task = prior.ids['task_id'];
    const { chunkBytes, chunkCount } = prior.state;
    if (task === undefined || typeof chunkBytes !== 'number' || typeof chunkCount !== 'number') {
      return null;
    }
    const plan = { ids: prior.ids, state: prior.state };
    const response = await this.#api.get('resume', task, context);
    const { status, json } = response;
    if (status === 401 || status === 403) {
      throw this.#http.failure(response, { what: 'resuming the upload', ids: prior.ids });
    }
    const layout = { chunkBytes, chunkCount, sizeBytes: context.source.sizeBytes };
    if (status === 200) {
      const uploaded = readUploaded(json);
      const told = record(json);
      const same =
        told['chunk_size'] === chunkBytes && told['file_size'] === context.source.sizeBytes;
      if (uploaded === null || !same) return null;
      return { ...plan, ...missingParts(layout, new Set(uploaded)) };
    }
    // A server without that route: what we know ourselves has to do, if the task still takes chunks.
    if ((status === 404 || status === 405) && json === undefined) {
      return { ...plan, ...missingParts(layout, new Set(prior.acks.map(({ index }) => index))) };
    }
    if (status === 404) return null;
    throw this.#http.failure(response, { what: 'resuming the upload', ids: prior.ids });
  }

  #done(file: RemoteFile, context: StepContext): Done {
    const encrypted = this.#options.encryptPassword !== undefined;
    return {
      state: 'done',
      ids: { file_id: file.id },
      deduplicated: false,
      // What is stored encrypted has another size and hash.
      evidence: encrypted ? {} : evidenceOf(file, context, this.#hash),
    };
  }

  async #chunkFailure(response: TargetResponse, plan: Plan, context: StepContext): Promise<Error> {
    const { status, text } = response;
    const what = 'sending a chunk';
    const failure = this.#http.failure(response, { what, ids: plan.ids });
    if (status === 404)
      return this.#again('the server has lost the upload', plan, { cause: failure });
    const isTooLarge = status === 413 || (status === 400 && /too large|limit|exceed/i.test(text));
    if (isTooLarge) {
      const half = Math.floor(Number(plan.state['chunkBytes']) / 2);
      const bytes = Math.min(MAX_CHUNK_BYTES, half);
      if (bytes < MIN_CHUNK_BYTES) return failure;
      await context.note(CHUNK_NOTE, { bytes });
      return this.#again('the server takes smaller chunks only', plan, { cause: failure });
    }
    // It goes on saying so however often it is asked.
    if (status === 500 && /chunk size = \d+, want \d+/.test(text)) {
      return this.#http.failure(response, { what, ids: plan.ids, class: 'permanent' });
    }
    return failure;
  }

  #again(
    message: string,
    { ids }: Plan,
    { keepsParts = false, cause }: { keepsParts?: boolean; cause: unknown },
  ): Error {
    return targetError({
      kind: 'multipart',
      class: 'transient',
      message,
      ids,
      planAgain: true,
      keepsParts,
      cause,
    });
  }

  #unknown(message: string, { ids }: Plan, cause: unknown): Error {
    return targetError({ kind: 'multipart', class: 'unknown-outcome', message, ids, cause });
  }
}

function taskOf({ ids }: Plan): string {
  return ids['task_id'] ?? '';
}

function checkRange(name: string, value: number | undefined, least: number, most: number): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new RangeError(
      `"${name}" expected a whole number from ${least} to ${most}, got ${value}`,
    );
  }
}
