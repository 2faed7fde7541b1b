import { withRetries } from './attempts.js';
import { type AttemptFailure, failure } from './failures.js';
import {
  type Answer,
  answerFailure,
  type CallState,
  type CasRequest,
  casOperation,
  createCallState,
  type HttpContext,
  readJson,
  sendToCas,
} from './http.js';
import { readLines } from './ndjson.js';

/**
 * Shard registration. Version 2 answers at once and streams what it is doing, so that a long check
 * looks different from a dead connection; version 1 is silent until it is done. Which one a server
 * has is found out once per client.
 */

const MAX_LINE_BYTES = 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024;
/** Servers repeat the last line about every 20 s; three misses mean that nobody is there. */
const EVENT_TIMEOUT_MS = 60_000;

export interface ShardUploadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (verified: number, total: number) => void;
}

export type ShardUpload = (
  shard: Uint8Array,
  options?: ShardUploadOptions,
) => Promise<{ registered: boolean }>;

export function createShardUpload(context: HttpContext): ShardUpload {
  let version: 1 | 2 | null = null;

  const post = (
    shard: Uint8Array,
    path: string,
    signal: AbortSignal | undefined,
    state: CallState,
  ): Promise<Answer> => sendToCas(context, requestFor(context, shard, path, signal), state);

  return async (shard, options = {}) => {
    const { signal, onProgress } = options;
    const state = createCallState();
    const { url } = casOperation(context, requestFor(context, shard, 'v2/shards', signal));
    const call = { name: 'POST of a shard', host: url.host, signal };
    return withRetries(context, call, async () => {
      if (version !== 1) {
        const answer = await post(shard, 'v2/shards', signal, state);
        const { status } = answer.exchange;
        const missing = status === 404 || status === 501;
        if (!missing || version === 2) {
          if (status !== 200) throw await answerFailure(context, answer);
          const result = await readEvents(context, answer, onProgress);
          version = 2;
          return result;
        }
        await answer.exchange.discard();
      }
      const answer = await post(shard, 'v1/shards', signal, state);
      if (answer.exchange.status !== 200) throw await answerFailure(context, answer);
      const registered = registeredOf(await readJson(answer, MAX_ANSWER_BYTES));
      if (registered === null) {
        throw broken(answer, '"result" of POST /v1/shards expected 0 or 1, got something else');
      }
      version = 1;
      return { registered };
    });
  };
}

function requestFor(
  context: HttpContext,
  shard: Uint8Array,
  path: string,
  signal: AbortSignal | undefined,
): CasRequest {
  return {
    method: 'POST',
    path,
    label: path,
    headers: { 'content-type': 'application/octet-stream' },
    body: { sizeBytes: shard.length, pieces: [shard] },
    signal,
    receiveTimeoutMs: Math.max(EVENT_TIMEOUT_MS, context.stallTimeoutMs),
  };
}

/** Reads the event stream of version 2 to its terminal line. */
async function readEvents(
  context: HttpContext,
  answer: Answer,
  onProgress: ShardUploadOptions['onProgress'],
): Promise<{ registered: boolean }> {
  const tooLong = (): AttemptFailure =>
    broken(answer, `"line" of POST /v2/shards expected at most ${MAX_LINE_BYTES} bytes, got more`);
  for await (const line of readLines(answer.exchange.body(), MAX_LINE_BYTES, tooLong)) {
    const event = parseEvent(line);
    if (event === null) {
      throw broken(
        answer,
        '"line" of POST /v2/shards expected a JSON object with a type, got none',
      );
    }
    if (event['type'] === 'validating') {
      const { verified, total } = event;
      if (isCount(verified) && isCount(total)) onProgress?.(verified, total);
    } else if (event['type'] === 'result') {
      // The reference server leaves the number out; then it is a plain success.
      return { registered: event['result'] !== 0 };
    } else if (event['type'] === 'error') throw errorEvent(context, answer, event);
  }
  // The connection ended in good order but the server did not finish: it may have been restarted.
  throw failure(
    answer.operation,
    'SERVER_ERROR',
    'POST /v2/shards expected a result line, got the end of the stream',
    { retry: true, fields: { requestId: answer.exchange.header('x-request-id') } },
  );
}

function errorEvent(
  context: HttpContext,
  answer: Answer,
  event: Readonly<Record<string, unknown>>,
): AttemptFailure {
  const retry = event['retryable'] === true;
  const message = typeof event['message'] === 'string' ? event['message'] : 'no message';
  const masked = context.masker.maskCut(message, 1024);
  return failure(
    answer.operation,
    retry ? 'SERVER_ERROR' : 'REJECTED',
    `POST /v2/shards expected a result line, got an error: ${masked.replace(/\s+/g, ' ')}`,
    {
      retry,
      fields: { status: 200, requestId: answer.exchange.header('x-request-id'), body: masked },
    },
  );
}

function broken(answer: Answer, message: string): AttemptFailure {
  return failure(answer.operation, 'PROTOCOL', message, { retry: false });
}

function parseEvent(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null) return null;
    return 'type' in value && typeof value.type === 'string' ? { ...value } : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function registeredOf(json: unknown): boolean | null {
  const result =
    typeof json === 'object' && json !== null && 'result' in json ? json.result : undefined;
  return result === 0 || result === 1 ? result === 1 : null;
}
