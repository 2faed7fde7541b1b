import { failure, failureOfException, type Operation } from './failures.js';
import type { LinkPace, PacedBody } from './link-pace.js';
import type { Masker } from './mask.js';
import type { TransportClock } from './ports.js';
import { abortedError, throwIfAborted } from './sleep.js';
import { createBodyStream, type UploadBody } from './upload-body.js';
import { startWatchdog } from './watchdog.js';
import type { Wire, WireAnswer, WireBody, WireCall } from './wire.js';

/** One request and its answer, with a watchdog instead of timeouts. Nothing here tries again. */
export interface ExchangeRequest {
  readonly operation: Operation;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: UploadBody;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds without a byte, in either direction. */
  readonly stallTimeoutMs: number;
  /** Milliseconds in which the connection takes nothing of the body. @default stallTimeoutMs */
  readonly sendTimeoutMs?: number;
  /** Milliseconds from the last byte of the body to the first of the answer. */
  readonly answerTimeoutMs?: number;
  /** Milliseconds without a byte of the answer's body. @default stallTimeoutMs */
  readonly receiveTimeoutMs?: number;
  readonly onProgress?: (sentBytes: number) => void;
}

/** What an exchange needs from its client. */
export interface ExchangePorts {
  readonly wire: Wire;
  readonly pace: LinkPace;
  readonly clock: TransportClock;
  readonly masker: Masker;
}

/** An answer whose body is still on its way. Exactly one of `body`, `text` and `discard` is used. */
export interface Exchange {
  readonly status: number;
  /** A header by its lower-case name; several of one name are joined. */
  header(name: string): string | null;
  /** The body, watched while a piece is awaited. Leaving early closes the connection. */
  body(): AsyncGenerator<Uint8Array, void, undefined>;
  /** Up to `limitBytes` of the body as text; the rest is thrown away. Never fails. */
  text(limitBytes: number): Promise<string>;
  /** Throws the body away; a short one so that the connection can be used again. Never fails. */
  discard(): Promise<void>;
}

/** The body of a request while it is sent. */
interface SentBody extends WireBody {
  readonly writes: ReturnType<typeof createBodyStream>;
  readonly paced: PacedBody;
}

/** Rests of bodies up to this are read to keep the connection. */
const DRAIN_BYTES = 64 * 1024;

/** @throws AttemptFailure for everything that happens to the connection; OrbweaverError `ABORTED`, `CLOSED` */
export async function exchange(ports: ExchangePorts, request: ExchangeRequest): Promise<Exchange> {
  const { operation, signal } = request;
  throwIfAborted(signal);
  let call: WireCall | null = null;
  const state = { phase: 'sending', stalled: false, sentBytes: 0, receivedBytes: 0 };
  let requestId: string | null = null;

  const abort = (): void => call?.destroy();
  const watchdog = startWatchdog(
    ports.clock,
    request.sendTimeoutMs ?? request.stallTimeoutMs,
    () => {
      state.stalled = true;
      if (state.phase === 'sending' && state.sentBytes > 0) ports.pace.stalled();
      abort();
    },
  );
  signal?.addEventListener('abort', abort, { once: true });
  const release = (): void => {
    watchdog.stop();
    signal?.removeEventListener('abort', abort);
  };
  const translate = (exception: unknown): Error => {
    if (signal?.aborted === true) return abortedError(signal);
    const fields = {
      phase: state.phase,
      requestId,
      sentBytes: state.sentBytes,
      receivedBytes: state.receivedBytes,
    };
    if (!state.stalled) return failureOfException(operation, exception, ports.masker, fields);
    return failure(
      operation,
      'STALLED',
      `${operation.name} at ${operation.url.host} expected a byte in time, got none while ${state.phase}`,
      { retry: true, fields },
    );
  };

  const openBody = (upload: UploadBody): SentBody => {
    const paced = ports.pace.start(ports.clock.now());
    const writes = createBodyStream(upload, ports.clock, paced, {
      onProgress: (sentBytes) => {
        state.sentBytes = sentBytes;
        watchdog.progress();
        request.onProgress?.(sentBytes);
      },
      onSent: () => {
        if (state.phase !== 'sending') return;
        state.phase = 'waiting for the answer';
        watchdog.limit(request.answerTimeoutMs ?? request.stallTimeoutMs);
      },
    });
    return { sizeBytes: upload.sizeBytes, writes, paced };
  };
  const sent = request.body === undefined ? null : openBody(request.body);

  let answer: WireAnswer;
  try {
    call = ports.wire.send({
      url: operation.url,
      method: request.method,
      headers: request.headers,
      body: sent,
    });
    answer = await call.answer;
  } catch (exception) {
    sent?.writes.stop();
    release();
    throw translate(exception);
  }
  // An answer may come before the body is sent. Of a refused one nothing more is taken; an answer
  // that only began early lets the rest follow.
  if (state.phase !== 'sending') sent?.paced.arrived(state.sentBytes, ports.clock.now());
  else if (answer.status >= 300) sent?.writes.stop();
  state.phase = 'receiving';
  watchdog.limit(request.receiveTimeoutMs ?? request.stallTimeoutMs);
  const { header } = answer;
  requestId = header('x-request-id');
  /** The connection is of use to others only when both directions came to their end. */
  const leave = (ended: boolean): void => {
    sent?.writes.stop();
    release();
    const whole = sent === null || state.sentBytes === sent.sizeBytes;
    if (!ended || !whole) abort();
  };

  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    let ended = false;
    try {
      for (;;) {
        watchdog.resume();
        const piece = await answer.read();
        watchdog.pause();
        if (piece === null) {
          ended = true;
          return;
        }
        state.receivedBytes += piece.length;
        yield piece;
      }
    } catch (exception) {
      throw translate(exception);
    } finally {
      leave(ended);
    }
  }

  const collect = async (keepBytes: number): Promise<Uint8Array[]> => {
    const kept: Uint8Array[] = [];
    let seenBytes = 0;
    try {
      for await (const piece of body()) {
        if (seenBytes < keepBytes) kept.push(piece.subarray(0, keepBytes - seenBytes));
        seenBytes += piece.length;
        if (seenBytes > Math.max(keepBytes, DRAIN_BYTES)) break;
      }
    } catch {
      // An error text that breaks off is still an error text.
    }
    return kept;
  };

  return {
    status: answer.status,
    header,
    body,
    async text(limitBytes) {
      return new TextDecoder().decode(Buffer.concat(await collect(limitBytes)));
    },
    async discard() {
      const announcedBytes = Number(header('content-length') ?? 0);
      if (announcedBytes <= DRAIN_BYTES) await collect(0);
      else leave(false);
    },
  };
}
