import type { Clock, RateLimit } from '../flow/index.js';
import type { Body, Exchange, HttpResponse } from '../http/index.js';
import type { Call, CallRequest, Send } from './call.js';
import { failure, failureOfException } from './failures.js';
import type { Masker } from './mask.js';
import { type StallTimer, startStallTimer } from './stall-timer.js';
import type { BodyWrites, WriteSizes } from './write-sizes.js';

/** What the watchdog needs from its client. */
export interface WatchdogPorts {
  readonly clock: Clock;
  readonly masker: Masker;
  readonly writeSizes: WriteSizes;
  /** What all bodies of a client keep to. Time that a body waits for its share is no silence. */
  readonly rates: Rates;
  /** Milliseconds without a byte, in either direction. */
  readonly stallTimeoutMs: number;
}

/** Caps of both directions, bodies only. */
export interface Rates {
  readonly upload: RateLimit;
  readonly download: RateLimit;
}

/**
 * The kernel tells of room in its send buffer only when a third of it is free, which can be hundreds
 * of KiB: on the slowest links that looks like a stall. So each stall while sending makes the next
 * attempt twice as patient, up to this factor.
 */
const MOST_PATIENCE = 8;
/**
 * Stall timeouts that all attempts of a call together wait for a body to be read that nobody reads: five
 * minutes. Whoever takes nothing of four connections in that time takes nothing of a fifth, and a command that
 * says nothing for longer is one that hangs. It counts anew when a write had to wait and went on: then
 * somebody reads, however slowly.
 */
const MOST_SILENCE = 10;
/** The part of a stall timeout (1 s) that a write waits only where the buffers of the system are full. */
const SLOW_WRITE = 1 / 30;
const NOTHING = new Uint8Array(0);

/**
 * Measures silence instead of time: while the body is sent, until the response begins, and while
 * somebody waits for bytes of it; a reader that does not ask is no stall. It makes the signal of each
 * request, which the scope of its call fires as well, and turns all that goes wrong on the wire into
 * an `AttemptFailure`.
 */
export function watchdog(ports: WatchdogPorts): (wire: Exchange) => Send {
  return (wire) => async (request) => {
    request.call.scope.check();
    const watch = new Watch(ports, request);
    try {
      return watch.received(await watch.send(wire));
    } catch (exception) {
      throw watch.failed(exception);
    }
  };
}

/** One request and its response. */
class Watch {
  readonly #ports: WatchdogPorts;
  readonly #request: CallRequest;
  readonly #controller = new AbortController();
  readonly #timer: StallTimer;
  readonly #forget: () => void;
  #phase: 'sending' | 'waiting for the response' | 'receiving' = 'sending';
  /** Of the body, ms. */
  readonly #sendTimeoutMs: number;
  #stalled = false;
  /** A write had to wait, and was taken. */
  #isRead = false;
  #over = false;
  /** Nothing more of the request's body is read: it may be somebody else's memory by now. */
  #sendingOver = false;
  #sentBytes = 0;
  #receivedBytes = 0;
  #requestId: string | null = null;
  #writes: BodyWrites | null = null;

  constructor(ports: WatchdogPorts, request: CallRequest) {
    this.#ports = ports;
    this.#request = request;
    const { scope, memory } = this.#call;
    const { stallTimeoutMs } = ports;
    const restMs = MOST_SILENCE * stallTimeoutMs - memory.silentMs;
    this.#sendTimeoutMs = Math.min(stallTimeoutMs * memory.patience, restMs);
    this.#timer = startStallTimer(ports.clock, this.#sendTimeoutMs, () => {
      this.#stalled = true;
      this.#abort(new Error('stalled'));
    });
    this.#forget = scope.onEnd(() => this.#abort(scope.reason));
  }

  get #call(): Call {
    return this.#request.call;
  }

  /** The response, or a rejection as soon as nobody waits for it any more. */
  send(wire: Exchange): Promise<HttpResponse> {
    const { method, url, headers, body } = this.#request;
    const { signal } = this.#controller;
    const sent = body === null ? null : this.#watchedRequest(body);
    if (sent === null) this.#timer.limit(this.#ports.stallTimeoutMs);
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      wire({ method, url, headers, body: sent, signal }).then((response) => {
        if (signal.aborted) response.body?.cancel();
        else resolve(response);
      }, reject);
    });
  }

  /** From the head of the response on. */
  received(response: HttpResponse): HttpResponse {
    const { stallTimeoutMs, clock } = this.#ports;
    this.#requestId = response.headers['x-request-id'] ?? null;
    // A response may come before the body is sent. Of a refused one nothing more is taken; one that
    // only began early lets the rest follow.
    if (this.#phase !== 'sending') this.#writes?.arrived(this.#sentBytes, clock.now());
    else if (response.status >= 300) this.#sendingOver = true;
    this.#phase = 'receiving';
    this.#timer.pause();
    this.#timer.limit(this.#call.receiveTimeoutMs ?? stallTimeoutMs);
    const { body } = response;
    if (body === null) {
      this.#leave(true);
      return response;
    }
    return { ...response, body: this.#watchedResponse(body) };
  }

  /** What the request failed with. */
  failed(exception: unknown): Error {
    this.#leave(false);
    const { scope, memory, name, url } = this.#call;
    if (scope.ended) return scope.reason;
    const fields = {
      phase: this.#phase,
      requestId: this.#requestId,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
    };
    if (!this.#stalled) {
      return failureOfException(this.#call, exception, this.#ports.masker, fields);
    }
    let retry = true;
    if (this.#phase === 'sending' && this.#sentBytes > 0) {
      this.#ports.writeSizes.stalled();
      memory.patience = Math.min(memory.patience * 2, MOST_PATIENCE);
      memory.silentMs = this.#isRead ? 0 : memory.silentMs + this.#sendTimeoutMs;
      retry = memory.silentMs < MOST_SILENCE * this.#ports.stallTimeoutMs;
    }
    const message = `${name} at ${url.host} expected a byte in time, got none while ${this.#phase}`;
    return failure(this.#call, 'STALLED', message, { retry, fields });
  }

  #abort(reason: unknown): void {
    this.#sendingOver = true;
    this.#controller.abort(reason);
  }

  /** The connection is of use to others only when both directions came to their end. */
  #leave(ended: boolean): void {
    if (this.#over) return;
    this.#over = true;
    const { body } = this.#request;
    const whole = body === null || this.#sentBytes === body.sizeBytes;
    this.#sendingOver = true;
    this.#timer.stop();
    this.#forget();
    if (!ended || !whole) this.#abort(new Error('the response is not wanted'));
  }

  /** The wire asks for the next bytes when the connection has taken those before. */
  #watchedRequest(body: Body): Body {
    const { clock, stallTimeoutMs, writeSizes, rates } = this.#ports;
    const { upload } = rates;
    const writes = writeSizes.start(clock.now());
    this.#writes = writes;
    let lentBytes = 0;
    let lentAtMs = 0;
    /** Granted for the next view. */
    let grantedBytes = 0;
    const waitForShare = async (maxBytes: number): Promise<number> => {
      // Nothing is silent here: the connection has taken all it was given.
      this.#timer.pause();
      try {
        grantedBytes = await upload.take(maxBytes, this.#call.scope);
        return grantedBytes;
      } finally {
        if (this.#phase === 'sending') this.#timer.resume();
      }
    };
    const allowance = (maxBytes: number): number | Promise<number> =>
      upload.isLimited && !this.#sendingOver
        ? waitForShare(Math.min(maxBytes, writes.next(this.#sentBytes, clock.now())))
        : maxBytes;
    const nextView = (maxBytes: number): Uint8Array => {
      if (lentBytes > 0) {
        this.#sentBytes += lentBytes;
        lentBytes = 0;
        if (clock.now() - lentAtMs >= SLOW_WRITE * stallTimeoutMs) this.#isRead = true;
        this.#timer.progress();
        this.#call.onSent?.(this.#sentBytes);
      }
      const limitBytes = Math.min(maxBytes, writes.next(this.#sentBytes, clock.now()));
      const bytes = this.#sendingOver ? NOTHING : (body.nextView?.(limitBytes) ?? NOTHING);
      if (grantedBytes > bytes.length) upload.giveBack(grantedBytes - bytes.length);
      grantedBytes = 0;
      if (this.#sendingOver) return NOTHING;
      lentBytes = bytes.length;
      lentAtMs = clock.now();
      if (lentBytes === 0 && this.#phase === 'sending') {
        this.#phase = 'waiting for the response';
        this.#timer.limit(this.#call.responseTimeoutMs ?? stallTimeoutMs);
      }
      return bytes;
    };
    return {
      sizeBytes: body.sizeBytes,
      nextView,
      allowance,
      async fill(into) {
        const bytes = nextView(await allowance(into.length));
        into.set(bytes);
        return bytes.length;
      },
      cancel: () => {
        this.#sendingOver = true;
      },
    };
  }

  #watchedResponse(body: Body): Body {
    const timer = this.#timer;
    const { download } = this.#ports.rates;
    return {
      sizeBytes: body.sizeBytes,
      fill: async (wanted) => {
        let into = wanted;
        try {
          if (download.isLimited && wanted.length > 0) {
            into = wanted.subarray(0, await download.take(wanted.length, this.#call.scope));
            // Cancelled while it waited: nobody wants it any more.
            if (this.#over) {
              download.giveBack(into.length);
              return 0;
            }
          }
          timer.resume();
          const count = await body.fill(into);
          timer.pause();
          if (into !== wanted) download.giveBack(into.length - count);
          this.#receivedBytes += count;
          if (count === 0) this.#leave(true);
          return count;
        } catch (exception) {
          throw this.failed(exception);
        }
      },
      cancel: (reason) => {
        this.#leave(false);
        body.cancel(reason);
      },
    };
  }
}
