import type { SendTurn, XorbBody } from '../client/ports.js';
import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { bytesBody, drain, textBody } from '../http/index.js';
import { createCall } from './call.js';
import { type Context, casCall, ownBody, readJson, sendToCas, statusFailure } from './context.js';
import { failure } from './failures.js';
import { type Crc64OfPieces, type Grant, type GrantPolicy, grantIn } from './grants.js';
import { withRetries } from './retry.js';
import { signedUrlEnd } from './signed-url.js';
import { watchingSilence } from './silence.js';

/**
 * A xorb by an upload grant:
 *
 *     POST v1/xorb-grants    asked while the xorb waits for its turn     200: it is stored already
 *     PUT <URL>              in its turn, without the token              412: it was put before
 *     POST v1/xorb-commits   after its turn                             404: once more from the start
 *
 * It is a better way where there is one, and never a reason to fail: whatever it fails with, the xorb
 * goes by `POST v1/xorbs`, and what is known not to work is not tried for a while. Only a commit that
 * says 400 is final, because the server has looked at the bytes.
 *
 * | what came                              | then                              | tried again after |
 * |----------------------------------------|-----------------------------------|-------------------|
 * | no such endpoint (404, 405, 501)       | POST                              | 10 minutes        |
 * | URL of the server itself, with `auto`  | POST: nothing would be gained     | 10 minutes        |
 * | other failures of asking               | POST, after two retries           | 1 minute          |
 * | PUT: 400, 403, 409 after its retries   | another grant, three in all       |                   |
 * | PUT: any other failure, unsafe URLs    | POST, after three retries         | 5 minutes         |
 * | commit: 404                            | another grant, three in all       |                   |
 * | commit: any other failure but 400      | POST, after its retries           |                   |
 * | 200 to asking or a commit, with a page | POST: a network wants a log-in    | 1 minute (asking) |
 */
export interface GrantUpload {
  /** Null: the xorb has to be posted. @throws OrbweaverError of a commit; the reason of the scope */
  send(
    xorb: MerkleHash,
    body: XorbBody,
    options: GrantUploadOptions,
  ): Promise<{ readonly inserted: boolean } | null>;
}

export interface GrantUploadOptions {
  readonly scope: Scope;
  readonly turn: SendTurn;
  /** So many bytes of the xorb are with the store, in this attempt. */
  readonly onSent: (sentBytes: number) => void;
}

/** With `auto`, smaller xorbs are posted: two more round trips take about as long as they do. */
export const GRANT_MIN_BYTES: number = 4 * 1024 * 1024;
/** Asking takes no longer in all: posting is always right. */
const ASK_TIMEOUT_MS = 15_000;
const MOST_GRANTS = 3;
const RETRIES_OF_ASKING = 2;
const RETRIES_OF_PUTTING = 3;
const NOT_OFFERED_MS = 600_000;
const NO_GAIN_MS = 600_000;
const UNREACHABLE_MS = 300_000;
const FAILED_MS = 60_000;
/** A store may write for long after the last byte; the kernels hold some of it until then. */
const STORE_RESPONSE_MS = 300_000;
/** A grant that ends sooner is not begun with. */
const LEAST_LIFE_MS = 10_000;
const MAX_RESPONSE_BYTES = 64 * 1024;

/** What is done when a request fails, as listeners hear of it. */
const POST = 'POST /v1/xorbs';
const ASK = 'POST /v1/xorb-grants';

/** What came of a step: go on, do it all once more, or post. */
type Step = 'done' | 'again' | 'post';

/** Whatever is no failure of a request is thrown. */
function failureOf(exception: unknown, scope: Scope): OrbweaverError {
  scope.check();
  if (!isOrbweaverError(exception)) throw exception;
  return exception;
}

export function createGrantUpload(
  context: Context,
  { policy, crc64 }: { readonly policy: GrantPolicy; readonly crc64: Crc64OfPieces },
): GrantUpload {
  const { clock, retry } = context;
  let offUntilMs = policy === 'never' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  /** The server grants URLs that are worth it. */
  let isKnown = policy === 'always';
  let findingOut: Promise<unknown> | null = null;

  const isOff = (): boolean => clock.now() < offUntilMs;
  const turnOff = (durationMs: number): void => {
    offUntilMs = Math.max(offUntilMs, clock.now() + durationMs);
    isKnown = policy === 'always';
  };

  /** A grant, or what the server said instead. */
  async function ask(
    xorb: MerkleHash,
    sizeBytes: number,
    checksum: bigint,
    caller: Scope,
  ): Promise<Grant | 'stored' | 'post'> {
    const scope = caller.child();
    scope.after(ASK_TIMEOUT_MS, () => scope.end('it took too long'));
    const path = `v1/xorb-grants/default/${xorb}`;
    const call = casCall(context, { method: 'POST', path, label: 'v1/xorb-grants', scope });
    const text = JSON.stringify({
      length: sizeBytes,
      checksum: { algo: 'crc64nvme', value: String(checksum) },
    });
    try {
      return await withRetries(limited(RETRIES_OF_ASKING), call, async () => {
        const received = await sendToCas(context, call, {
          headers: { 'content-type': 'application/json' },
          body: textBody(text),
        });
        const { status, body } = received.response;
        if (status === 200) {
          await ownBody(context, received, MAX_RESPONSE_BYTES);
          return 'stored';
        }
        if (status === 404 || status === 405 || status === 501) {
          await drain(body);
          turnOff(NOT_OFFERED_MS);
          return 'post';
        }
        if (status !== 201) throw await statusFailure(context, received);
        const grant = await readJson(context, received, MAX_RESPONSE_BYTES, (json) =>
          grantIn(json, sizeBytes),
        );
        if (grant !== null) return grant;
        const message = `"body" of ${call.name} expected a request to upload with, got something else`;
        throw failure(call, 'PROTOCOL', message, { retry: false });
      });
    } catch (exception) {
      told(call.name, failureOf(exception, caller), POST);
      turnOff(FAILED_MS);
      return 'post';
    } finally {
      scope.close();
    }
  }

  /** The bytes, in a turn. */
  async function put(
    grant: Grant,
    pieces: readonly Uint8Array[],
    { scope, turn, onSent }: GrantUploadOptions,
  ): Promise<Step> {
    const name = `${grant.method} of an upload grant`;
    const over = await turnIn(scope, turn);
    try {
      const url = new URL(grant.url);
      const end = signedUrlEnd(url);
      if (end !== null && end - LEAST_LIFE_MS < clock.unixMs()) return 'again';
      const { method, headers } = grant;
      const responseTimeoutMs = Math.max(STORE_RESPONSE_MS, context.stallTimeoutMs);
      const facts = { name, method, url, scope, toCas: false, responseTimeoutMs, onSent };
      const call = createCall(facts);
      return await withRetries(limited(RETRIES_OF_PUTTING), call, async () => {
        const body = bytesBody(pieces);
        const response = await context.send({ method, url, headers, body, call });
        const { status } = response;
        const isStored = (status >= 200 && status < 300) || status === 412;
        if (isStored || status === 400 || status === 403) {
          await drain(response.body).catch(() => undefined);
          return isStored ? 'done' : 'again';
        }
        // An attempt before this one is still being written.
        const retried = status === 409 ? { retry: true } : {};
        throw await statusFailure(context, { call, response }, retried);
      });
    } catch (exception) {
      const error = failureOf(exception, scope);
      const isBusy = error.fields['status'] === 409;
      told(name, error, isBusy ? ASK : POST);
      if (isBusy) return 'again';
      turnOff(UNREACHABLE_MS);
      return 'post';
    } finally {
      over();
    }
  }

  async function commit(xorb: MerkleHash, id: string, scope: Scope): Promise<Step> {
    const path = `v1/xorb-commits/default/${xorb}/grant/${encodeURIComponent(id)}`;
    const { responseTimeoutMs } = context;
    const facts = { method: 'POST', path, label: 'v1/xorb-commits', scope } as const;
    const call = casCall(context, { ...facts, responseTimeoutMs });
    const attempt = async (inner: Scope, onAllSent: () => void): Promise<Step> => {
      // Empty and not none: what may take long then is the response.
      const sending = sendToCas(
        context,
        { ...call, scope: inner },
        { body: bytesBody(new Uint8Array(0)) },
      );
      onAllSent();
      const received = await sending;
      const { status, body } = received.response;
      if (status !== 404 && (status < 200 || status >= 300)) {
        throw await statusFailure(context, received);
      }
      if (status !== 404) await ownBody(context, received, MAX_RESPONSE_BYTES);
      else await drain(body);
      return status === 404 ? 'again' : 'done';
    };
    try {
      return await withRetries(context, call, () =>
        watchingSilence(context, {
          call,
          attempt,
          probePath: `v1/xorbs/default/${xorb}`,
          probeLabel: 'v1/xorbs',
          stored: () => 'done' as const,
        }),
      );
    } catch (exception) {
      const error = failureOf(exception, scope);
      if (error.fields['status'] === 400) throw error;
      told(call.name, error, POST);
      return 'post';
    }
  }

  const limited = (retries: number): Context => ({
    ...context,
    retry: { ...retry, retries: Math.min(retries, retry.retries) },
  });

  /** Tells why the other way is taken. */
  const told = (operation: string, error: OrbweaverError, instead: string): void => {
    const { code, message, fields } = error;
    const status = typeof fields['status'] === 'number' ? fields['status'] : null;
    const attempt = typeof fields['attempts'] === 'number' ? fields['attempts'] : 1;
    context.onRetry?.({ operation, attempt, code, status, message, delayMs: 0, instead });
  };

  /**
   * Asks with no check sum, which takes time, whether grants are worth one: what comes is not used. One
   * xorb finds out; those that come meanwhile wait for it.
   */
  async function findOut(
    xorb: MerkleHash,
    sizeBytes: number,
    scope: Scope,
  ): Promise<'stored' | 'post' | 'known'> {
    while (findingOut !== null && !isKnown && !isOff()) await scope.race(findingOut);
    if (isKnown) return 'known';
    if (isOff()) return 'post';
    const asking = ask(xorb, sizeBytes, 0n, scope);
    const settled = asking.then(
      () => undefined,
      () => undefined,
    );
    findingOut = settled;
    try {
      const found = await asking;
      if (typeof found === 'string') return found;
      if (new URL(found.url).origin === context.endpoint.origin) {
        turnOff(NO_GAIN_MS);
        return 'post';
      }
      isKnown = true;
      return 'known';
    } finally {
      if (findingOut === settled) findingOut = null;
    }
  }

  return {
    async send(xorb, { sizeBytes, pieces }, options) {
      const { scope, onSent } = options;
      if (isOff() || (policy === 'auto' && sizeBytes < GRANT_MIN_BYTES)) return null;
      const stored = (inserted: boolean): { readonly inserted: boolean } => {
        onSent(sizeBytes);
        return { inserted };
      };
      if (!isKnown) {
        const found = await findOut(xorb, sizeBytes, scope);
        if (found === 'stored') return stored(false);
        if (found === 'post') return null;
      }
      const checksum = await crc64(pieces, () => scope.sleep(0));
      for (let grants = 0; grants < MOST_GRANTS && !isOff(); grants++) {
        const grant = await ask(xorb, sizeBytes, checksum, scope);
        if (grant === 'stored') return stored(grants > 0);
        if (grant === 'post') return null;
        let step = await put(grant, pieces, options);
        if (step === 'done') step = await commit(xorb, grant.id, scope);
        if (step === 'done') return stored(true);
        if (step === 'post') return null;
      }
      return null;
    },
  };
}

/** Waits for a turn. One that comes when nobody waits any more is given back. */
export async function turnIn(scope: Scope, turn: SendTurn): Promise<() => void> {
  const coming = turn();
  try {
    return await scope.race(coming);
  } catch (error) {
    void coming.then((over) => over());
    throw error;
  }
}
