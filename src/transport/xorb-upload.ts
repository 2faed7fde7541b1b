import type { XorbBody } from '../client/ports.js';
import type { MerkleHash } from '../hash/index.js';
import { withRetries } from './attempts.js';
import { failure } from './failures.js';
import {
  answerFailure,
  casOperation,
  createCallState,
  type HttpContext,
  readJson,
  sendToCas,
} from './http.js';

/** Answers to uploads are one small object. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface XorbUploadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onSent?: (bytes: number) => void;
}

export type XorbUpload = (
  xorb: MerkleHash,
  body: XorbBody,
  options?: XorbUploadOptions,
) => Promise<{ inserted: boolean }>;

/**
 * `POST /v1/xorbs/default/{xorb}`. The body is sent from the caller's pieces, as often as it takes;
 * the same bytes each time, because a xorb is named by them.
 */
export function createXorbUpload(context: HttpContext): XorbUpload {
  return async (xorb, body, options = {}) => {
    const pieceBytes = body.pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (pieceBytes !== body.sizeBytes) {
      throw new RangeError(`"sizeBytes" expected ${pieceBytes}, got ${body.sizeBytes}`);
    }
    let reportedBytes = 0;
    const request = {
      method: 'POST',
      path: `v1/xorbs/default/${xorb}`,
      label: 'v1/xorbs',
      headers: { 'content-type': 'application/octet-stream' },
      body,
      signal: options.signal,
      // A repeated attempt reports nothing until it is past the furthest byte of the others.
      onProgress: (sentBytes: number): void => {
        if (sentBytes <= reportedBytes) return;
        options.onSent?.(sentBytes - reportedBytes);
        reportedBytes = sentBytes;
      },
    } as const;
    const state = createCallState();
    const { name, url } = casOperation(context, request);
    return withRetries(context, { name, host: url.host, signal: options.signal }, async () => {
      const answer = await sendToCas(context, request, state);
      if (answer.exchange.status !== 200) throw await answerFailure(context, answer);
      const json = await readJson(answer, MAX_ANSWER_BYTES);
      const inserted =
        typeof json === 'object' && json !== null && 'was_inserted' in json
          ? json.was_inserted
          : undefined;
      if (typeof inserted === 'boolean') return { inserted };
      throw failure(
        answer.operation,
        'PROTOCOL',
        `"was_inserted" of ${name} expected true or false, got something else`,
        { retry: false },
      );
    });
  };
}
