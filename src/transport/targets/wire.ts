import { type Clock, Scope } from '../../flow/index.js';
import type { Body, Exchange, HttpRequest, HttpResponse } from '../../http/index.js';
import { checkOptions, is, type OptionRules } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { createConnection } from '../options.js';
import type { Rates } from '../watchdog.js';
import { createWire } from '../wires/choose.js';

/**
 * The wires of this module for upload targets: without repeats (the targets do that), without redirects, and
 * without a judgement of hosts, which are the caller's own.
 */
export interface TargetWire {
  readonly exchange: Exchange;
  /** Ends idle connections. */
  close(): void;
}

/** How targets are reached. */
export interface TargetWireOptions {
  /** URL of an HTTP proxy that all requests go through in tunnels. @default none */
  readonly proxy?: string | undefined;
  /** Hosts that are asked without it, as in NO_PROXY. @default none */
  readonly noProxy?: readonly string[] | undefined;
  /** Authorities to trust besides those that Node trusts, PEM. @default none */
  readonly ca?: string | undefined;
  /** Sends the requests instead. @default connections of our own */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Caps of what is sent. @default none */
  readonly rates?: Pick<Rates, 'upload'> | undefined;
  readonly clock?: Clock | undefined;
}

const RULES: OptionRules<TargetWireOptions> = {
  proxy: is.text,
  noProxy: is.texts,
  ca: is.text,
  fetch: is.callback,
  rates: is.object,
  clock: is.object,
};

/** @throws TypeError for wrong options */
export function createTargetWire(options: TargetWireOptions = {}): TargetWire {
  checkOptions('createTargetWire', options, RULES);
  const { proxy = '', noProxy = [], ca = '', fetch = null, clock = SYSTEM_CLOCK, rates } = options;
  const { choice, connect } = createConnection({ proxy, noProxy, ca, clock });
  const wire = createWire({ ...choice, fetch }, connect);
  const upload = rates?.upload ?? null;
  return {
    exchange: (request) => send(request, { exchange: wire.exchange, upload, clock }),
    close: () => void wire.close(),
  };
}

interface Parts {
  readonly exchange: Exchange;
  readonly upload: Rates['upload'] | null;
  readonly clock: Clock;
}

async function send(request: HttpRequest, parts: Parts): Promise<HttpResponse> {
  const { exchange, clock } = parts;
  if (request.body === null) return exchange(request);
  const scope = new Scope({ clock, signal: request.signal, what: 'the request' });
  const stop = new AbortController();
  const body = new SentBody(request.body, parts.upload, scope);
  const signal = AbortSignal.any([request.signal, stop.signal]);
  try {
    const response = await exchange({ ...request, body, signal });
    // The end of what was written may be reported a moment after the response to it.
    if (!body.isOver) await new Promise((resolve) => setImmediate(resolve));
    if (body.isOver) return response;
    // A response that comes before the end of the request makes the rest of it pointless, and nobody may
    // go on reading from memory that its owner uses for something else.
    body.cancel();
    const end = (): void => stop.abort(new Error('the rest of the request is not wanted'));
    if (response.body === null) end();
    return response.body === null ? response : { ...response, body: withEnd(response.body, end) };
  } catch (error) {
    body.cancel(error);
    throw error;
  } finally {
    scope.close();
  }
}

/** A body that keeps to a rate and can be stopped. */
class SentBody implements Body {
  readonly sizeBytes: number | undefined;
  readonly nextView?: NonNullable<Body['nextView']>;
  /** All of it was taken, or nothing more is. */
  isOver = false;
  readonly #body: Body;
  readonly #upload: Rates['upload'] | null;
  readonly #scope: Scope;
  #sentBytes = 0;
  #grantedBytes = 0;

  constructor(body: Body, upload: Rates['upload'] | null, scope: Scope) {
    this.#body = body;
    this.#upload = upload;
    this.#scope = scope;
    this.sizeBytes = body.sizeBytes;
    const { nextView } = body;
    if (nextView === undefined) return;
    this.nextView = (maxBytes) => {
      if (this.isOver) return new Uint8Array(0);
      const view = nextView.call(body, maxBytes);
      this.#moved(view.length);
      return view;
    };
  }

  async allowance(maxBytes: number): Promise<number> {
    const upload = this.#upload;
    if (upload === null || !upload.isLimited || this.isOver) return maxBytes;
    this.#grantedBytes = await upload.take(maxBytes, this.#scope);
    return this.#grantedBytes;
  }

  async fill(into: Uint8Array): Promise<number> {
    if (this.isOver) return 0;
    // Who asks for an allowance has it already.
    const room = this.#grantedBytes > 0 ? this.#grantedBytes : await this.allowance(into.length);
    const count = await this.#body.fill(into.subarray(0, room));
    this.#moved(count);
    return count;
  }

  cancel(reason?: unknown): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#body.cancel(reason);
  }

  #moved(bytes: number): void {
    if (this.#grantedBytes > bytes) this.#upload?.giveBack(this.#grantedBytes - bytes);
    this.#grantedBytes = 0;
    this.#sentBytes += bytes;
    if (bytes === 0 || this.#sentBytes === this.sizeBytes) this.isOver = true;
  }
}

function withEnd(body: Body, end: () => void): Body {
  return {
    sizeBytes: body.sizeBytes,
    async fill(into) {
      const count = await body.fill(into);
      if (count === 0) end();
      return count;
    },
    cancel(reason) {
      body.cancel(reason);
      end();
    },
  };
}
