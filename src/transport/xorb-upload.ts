import type { SendTurn, XorbBody } from '../client/ports.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { bytesBody } from '../http/index.js';
import { type Context, casCall, readJson, sendToCas, statusFailure } from './context.js';
import { failure } from './failures.js';
import { createGrantUpload, turnIn } from './grant-upload.js';
import type { Crc64OfPieces, GrantPolicy } from './grants.js';
import { withRetries } from './retry.js';
import { watchingSilence } from './silence.js';

/** Responses to uploads are one small object. */
const MAX_RESPONSE_BYTES = 64 * 1024;

export interface XorbUploadOptions {
  readonly scope: Scope;
  readonly onSent?: ((bytes: number) => void) | undefined;
  readonly turn?: SendTurn | undefined;
}

export type XorbUpload = (
  xorb: MerkleHash,
  body: XorbBody,
  options: XorbUploadOptions,
) => Promise<{ inserted: boolean }>;

/** For callers that send as many at a time as they like. */
const AT_ONCE: SendTurn = async () => () => {};

/**
 * A xorb to the store: by an upload grant, where those are of use, else by `POST /v1/xorbs/default/{xorb}`.
 * The body is sent from the caller's pieces, as often as it takes; the same bytes each time, because a
 * xorb is named by them.
 */
export function createXorbUpload(
  context: Context,
  options: { readonly policy: GrantPolicy; readonly crc64: Crc64OfPieces },
): XorbUpload {
  const byGrant = createGrantUpload(context, options);
  return async (xorb, body, { scope, onSent, turn = AT_ONCE }) => {
    const { sizeBytes, pieces } = body;
    const pieceBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (pieceBytes !== sizeBytes) {
      throw new RangeError(`"sizeBytes" expected ${pieceBytes}, got ${sizeBytes}`);
    }
    let reportedBytes = 0;
    /** A repeated attempt reports nothing until it is past the furthest byte of the others. */
    const report = (sentBytes: number): void => {
      if (sentBytes <= reportedBytes) return;
      onSent?.(sentBytes - reportedBytes);
      reportedBytes = sentBytes;
    };
    const granted = await byGrant.send(xorb, body, { scope, turn, onSent: report });
    if (granted !== null) return granted;
    const over = await turnIn(scope, turn);
    try {
      return await post(context, xorb, body, { scope, report });
    } finally {
      over();
    }
  };
}

/** `POST /v1/xorbs/default/{xorb}`. */
function post(
  context: Context,
  xorb: MerkleHash,
  { sizeBytes, pieces }: XorbBody,
  { scope, report }: { readonly scope: Scope; readonly report: (sentBytes: number) => void },
): Promise<{ inserted: boolean }> {
  const path = `v1/xorbs/default/${xorb}`;
  const facts = { method: 'POST', path, label: 'v1/xorbs', scope } as const;
  const call = casCall(context, { ...facts, responseTimeoutMs: context.responseTimeoutMs });
  const attempt = async (
    inner: Scope,
    onAllSent: () => void,
  ): Promise<{ readonly inserted: boolean }> => {
    const observed = {
      ...call,
      scope: inner,
      onSent: (sentBytes: number) => {
        report(sentBytes);
        if (sentBytes === sizeBytes) onAllSent();
      },
    };
    const received = await sendToCas(context, observed, {
      headers: { 'content-type': 'application/octet-stream' },
      body: bytesBody(pieces),
    });
    if (received.response.status !== 200) throw await statusFailure(context, received);
    return readJson(context, received, MAX_RESPONSE_BYTES, (json) => {
      const inserted = (json as { was_inserted?: unknown } | null)?.was_inserted;
      if (typeof inserted === 'boolean') return { inserted };
      const message = `"was_inserted" of ${call.name} expected true or false, got something else`;
      throw failure(call, 'PROTOCOL', message, { retry: false });
    });
  };
  return withRetries(context, call, () =>
    watchingSilence(context, {
      call,
      attempt,
      probePath: path,
      probeLabel: 'v1/xorbs',
      stored: () => ({ inserted: true }),
    }),
  );
}
