import { textBody } from '../../../http/index.js';
import { targetError } from '../errors.js';
import type { TargetHttp, TargetResponse } from '../http.js';
import type { StepContext, TargetErrorClass, TargetIds } from '../ports.js';
import { chunkBytesToAsk, type MultipartTargetOptions, uploadUrl } from './options.js';
import { lookupHash, type RemoteFile, readCreate, record } from './responses.js';

/** Where a smaller chunk size than the server's is noted. */
export const CHUNK_NOTE = 'chunk-bytes';

/** What `create` said; `finds` when this server looks files up by their hash. */
export type Created = NonNullable<ReturnType<typeof readCreate>> & { readonly finds: boolean };

/** The requests of the protocol that have no body of a file. */
export class MultipartApi {
  readonly #http: TargetHttp;
  readonly #options: MultipartTargetOptions;
  readonly #base: URL;
  readonly #hash: 'auto' | 'md5-full';

  constructor(http: TargetHttp, options: MultipartTargetOptions) {
    this.#http = http;
    this.#options = options;
    this.#base = uploadUrl(options.url);
    this.#hash = options.hash ?? 'auto';
  }

  async create(context: StepContext, hash: string): Promise<Created> {
    const { source, notes } = context;
    const options = this.#options;
    const noted = notes.findLast(({ kind }) => kind === CHUNK_NOTE)?.data['bytes'];
    const wanted = typeof noted === 'number' ? noted : (options.chunkBytes ?? null);
    const chunkBytes = chunkBytesToAsk(source.sizeBytes, wanted);
    const fields: readonly [string, string | number | null | undefined][] = [
      ['hash', hash],
      ['file_name', source.name],
      ['file_size', source.sizeBytes],
      ['content_type', options.contentType ?? 'application/octet-stream'],
      ['chunk_size', chunkBytes],
      ['pool_id', options.poolId],
      ['bundle_id', options.bundleId],
      ['parent_id', options.parentId],
      ['usage', options.usage],
      ['expired_at', options.expiredAt],
      ['encrypt_password', options.encryptPassword],
    ];
    const given = fields.filter(([, value]) => value !== undefined && value !== null);
    const response = await this.#http.request({
      method: 'POST',
      url: this.url('create'),
      headers: { 'content-type': 'application/json' },
      body: () => textBody(JSON.stringify(Object.fromEntries(given))),
      // A task too many expires by itself.
      repeatable: true,
      signal: context.signal,
    });
    if (response.status !== 200) throw this.#createFailure(response, source.sizeBytes);
    const created = readCreate(response);
    if (created === null) {
      throw protocolError('"create" expected a task or a file, got something else');
    }
    return { ...created, finds: 'file_exists' in record(response.json) };
  }

  /** The file under the hash that the server computes. A task that asking made is dropped again. */
  async find(context: StepContext): Promise<RemoteFile | null> {
    const hash = lookupHash(context, this.#hash);
    if (hash === null) return null;
    const created = await this.create(context, hash);
    if (created.exists)
      return created.file.sizeBytes === context.source.sizeBytes ? created.file : null;
    await this.drop(created.taskId, context).catch(() => undefined);
    return null;
  }

  async drop(task: string, context: StepContext): Promise<boolean> {
    for (const path of [`task/${encodeURIComponent(task)}`, encodeURIComponent(task)]) {
      const { status } = await this.#http.request({
        method: 'DELETE',
        url: this.url(path),
        repeatable: true,
        signal: context.signal,
      });
      if (status >= 200 && status < 300) return true;
    }
    return false;
  }

  get(
    route: 'resume' | 'progress' | 'status',
    task: string,
    context: StepContext,
  ): Promise<TargetResponse> {
    return this.#http.request({
      method: 'GET',
      url: this.url(`${route}/${encodeURIComponent(task)}`),
      repeatable: true,
      signal: context.signal,
    });
  }

  url(path: string): URL {
    return new URL(path, this.#base);
  }

  #createFailure(response: TargetResponse, sizeBytes: number): Error {
    const what = 'creating the upload';
    const { status, text } = response;
    if (status === 400 && sizeBytes === 0) {
      return targetError({
        kind: 'multipart',
        class: 'permanent',
        code: 'UNSUPPORTED',
        message: 'the server takes no empty files',
        fields: { status },
      });
    }
    return this.#http.failure(response, {
      what,
      // The reason of a 403 stands in the message only.
      class: status === 403 ? classOfRefusal(text) : undefined,
    });
  }
}

/** A hash that no file can be found by: what the server stores are MD5s, of 32 digits. */
export function unmatchable({ digests }: StepContext): string {
  if (typeof digests.sha256 === 'string') return digests.sha256;
  return `${crypto.randomUUID()}${crypto.randomUUID()}`.replaceAll('-', '');
}

function classOfRefusal(text: string): TargetErrorClass {
  if (/quota|storage (?:is )?full|not enough (?:storage|space)/i.test(text)) return 'quota';
  return /type|too (?:big|large)|tier|policy/i.test(text) ? 'permanent' : 'auth';
}

/** What the server said breaks its own rules: asking again would not help. */
export function protocolError(message: string, ids?: TargetIds): Error {
  return targetError({ kind: 'multipart', class: 'permanent', code: 'PROTOCOL', message, ids });
}
