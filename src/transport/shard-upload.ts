import type { Scope } from '../flow/index.js';
import { bytesBody, drain } from '../http/index.js';
import {
  type Context,
  casCall,
  type Received,
  readJson,
  sendToCas,
  statusFailure,
} from './context.js';
import { type AttemptFailure, failure } from './failures.js';
import { readLines } from './ndjson.js';
import { withRetries } from './retry.js';
import { watchingSilence } from './silence.js';

/**
 * Shard registration. Version 2 responds at once and streams what it is doing, so that a long check
 * looks different from a dead connection; version 1 is silent until it is done. Which one a server
 * has is found out once per client.
 */

const MAX_LINE_BYTES = 1024 * 1024;
const MAX_RESPONSE_BYTES = 64 * 1024;
/** Servers repeat the last line about every 20 s; two misses mean that nobody is there. */
const EVENT_TIMEOUT_MS = 45_000;

export interface ShardUploadOptions {
  readonly scope: Scope;
  readonly onProgress?: ((verified: number, total: number) => void) | undefined;
}

export type ShardUpload = (
  shard: Uint8Array,
  options: ShardUploadOptions,
) => Promise<{ registered: boolean }>;

export function createShardUpload(context: Context): ShardUpload {
  let version: 1 | 2 | null = null;
  const receiveTimeoutMs = Math.max(EVENT_TIMEOUT_MS, context.stallTimeoutMs);

  return async (shard, { scope, onProgress }) => {
    const facts = { method: 'POST', scope, receiveTimeoutMs } as const;
    const v2 = casCall(context, { ...facts, path: 'v2/shards', label: 'v2/shards' });
    const { responseTimeoutMs } = context;
    const v1 = {
      ...casCall(context, { ...facts, path: 'v1/shards', label: 'v1/shards', responseTimeoutMs }),
      memory: v2.memory,
    };
    const post = (call: typeof v2): Promise<Received> =>
      sendToCas(context, call, {
        headers: { 'content-type': 'application/octet-stream' },
        body: bytesBody(shard),
      });
    const postV1 = async (
      inner: Scope,
      onAllSent: () => void,
    ): Promise<{ readonly registered: boolean }> => {
      const onSent = (sentBytes: number): void => {
        if (sentBytes === shard.length) onAllSent();
      };
      const received = await post({ ...v1, scope: inner, onSent });
      if (received.response.status !== 200) throw await statusFailure(context, received);
      return readJson(context, received, MAX_RESPONSE_BYTES, (json) => {
        const registered = registeredOf(json);
        if (registered !== null) return { registered };
        throw broken(received, '"result" of POST /v1/shards expected 0 or 1, got something else');
      });
    };
    return withRetries(context, { ...v2, name: 'POST of a shard' }, async () => {
      if (version !== 1) {
        const received = await post(v2);
        const { status, body } = received.response;
        const missing = status === 404 || status === 501;
        if (!missing || version === 2) {
          if (status !== 200) throw await statusFailure(context, received);
          const result = await readEvents(context, received, onProgress);
          version = 2;
          return result;
        }
        await drain(body);
      }
      const result = await watchingSilence(context, {
        call: v1,
        attempt: postV1,
        probePath: 'v1/shards',
        probeLabel: 'v1/shards',
        stored: null,
      });
      version = 1;
      return result;
    });
  };
}

/** Reads the event stream of version 2 to its terminal line. */
async function readEvents(
  context: Context,
  received: Received,
  onProgress: ShardUploadOptions['onProgress'],
): Promise<{ registered: boolean }> {
  const { response } = received;
  const tooLong = (): AttemptFailure =>
    broken(
      received,
      `"line" of POST /v2/shards expected at most ${MAX_LINE_BYTES} bytes, got more`,
    );
  for await (const { text, isWhole } of readLines(response.body, MAX_LINE_BYTES, tooLong)) {
    const event = parseEvent(text);
    if (event === null) {
      // A last line without its end was cut: the stream has no length that would tell.
      if (!isWhole) break;
      const message = '"line" of POST /v2/shards expected a JSON object with a type, got none';
      throw broken(received, message);
    }
    if (event['type'] === 'validating') {
      const { verified, total } = event;
      if (isCount(verified) && isCount(total)) onProgress?.(verified, total);
    } else if (event['type'] === 'result') {
      // The reference server leaves the number out; then it is a plain success.
      return { registered: event['result'] !== 0 };
    } else if (event['type'] === 'error') throw errorEvent(context, received, event);
  }
  // The connection ended in good order but the server did not finish: it may have been restarted.
  throw failure(
    received.call,
    'SERVER_ERROR',
    'POST /v2/shards expected a result line, got the end of the stream',
    { retry: true, fields: { requestId: response.headers['x-request-id'] ?? null } },
  );
}

/** What a server refuses that has no room for it. */
const FULL = ['QUOTA_EXCEEDED', 'DISK_FULL'] as const;

function errorEvent(
  context: Context,
  { call, response }: Received,
  event: Readonly<Record<string, unknown>>,
): AttemptFailure {
  const retry = event['retryable'] === true;
  const full = FULL.find((code) => code === event['code']);
  const message = typeof event['message'] === 'string' ? event['message'] : 'no message';
  const masked = context.masker.maskCut(message, 1024);
  const said = masked.replace(/\s+/g, ' ');
  return failure(
    call,
    retry ? 'SERVER_ERROR' : (full ?? 'REJECTED'),
    `POST /v2/shards expected a result line, got an error: ${said}`,
    {
      retry,
      fields: {
        status: 200,
        requestId: response.headers['x-request-id'] ?? null,
        body: masked,
      },
    },
  );
}

function broken({ call }: Received, message: string): AttemptFailure {
  return failure(call, 'PROTOCOL', message, { retry: false });
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
