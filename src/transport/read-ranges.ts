import type { ByteRange, RangeReader, ReadRangesOptions } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { type Call, createCall } from './call.js';
import { type Context, type Received, statusFailure } from './context.js';
import { type AttemptFailure, failure } from './failures.js';
import { type PlacedBody, placedBody } from './placed-body.js';
import { RangeCutter } from './range-cutter.js';
import { type Attempts, asFailure, createAttempts } from './retry.js';
import { isExpired } from './signed-url.js';
import { parsedUrl } from './url-policy.js';

/**
 * Ranged reads of xorb data from (signed) URLs, into the reader's memory.
 *
 * A broken connection goes on from where it stopped, with a new request. Signatures may cover the
 * exact ranges only, so when such a rest is refused the whole range is asked for again and its
 * beginning dropped. A host that does not do several ranges in one request is asked for one at a time
 * from then on.
 */
export type ReadRanges = (
  url: string,
  ranges: readonly ByteRange[],
  options: ReadOptions,
) => RangeReader;

/** What is read, if it is not xorb data. */
export interface ReadObject {
  /** For messages. */
  readonly name: string;
  /** It lies at the endpoint, which gets the token, and may send the reader elsewhere. */
  readonly isAtEndpoint: boolean;
  /** Most bytes that it may have. */
  readonly maxBytes: number;
}

/** Options of {@link ReadRanges}. */
export interface ReadOptions extends Omit<ReadRangesOptions, 'signal'> {
  /** @default xorb data, by a signed URL */
  readonly object?: ReadObject | undefined;
  /** Called at the first `fill`; the scope ends with the reader. */
  readonly openScope: () => Scope;
}

const XORB_DATA: ReadObject = {
  name: 'xorb data',
  isAtEndpoint: false,
  maxBytes: XORB_ACCEPT_MAX_BYTES,
};

/** Behind a proxy that takes a path away a gateway does not know what its URLs begin with. */
const PUBLIC_URL_HINT =
  'The server named a URL without the path of the endpoint: it has to be told its public URL (serve --public-url, "publicUrl").';

/** What the readers of one client have learned. */
interface Hosts {
  /** Hosts that did not respond to several ranges with several ranges. */
  readonly singleRange: Set<string>;
}

/** Hosts remembered; a session talks to a handful. */
const MOST_HOSTS = 256;
/**
 * An attempt that gains less than both is no progress: else a connection that is cut after each 100
 * bytes would be tried for ever.
 */
const PROGRESS_BYTES = 64 * 1024;
const PROGRESS_SHARE = 0.01;
/** A server may close a connection whose reader paused for so long; that is nobody's failure. */
const LONG_PAUSE_MS = 5_000;

export function createReadRanges(context: Context): ReadRanges {
  const hosts: Hosts = { singleRange: new Set() };
  return (url, ranges, options) => new Reader(context, hosts, { url, ranges, options });
}

class Reader implements RangeReader {
  readonly #context: Context;
  readonly #hosts: Hosts;
  readonly #cutter: RangeCutter;
  readonly #options: ReadOptions;
  readonly #urlText: string;
  readonly #object: ReadObject;
  #scope: Scope | null = null;
  #call: Call | null = null;
  #attempts: Attempts | null = null;
  /** The response that is being read. */
  #body: PlacedBody | null = null;
  /** Of the request that is being read: ranges and bytes asked, bytes that came. */
  #askedCount = 0;
  #askedBytes = 0;
  #gainedBytes = 0;
  #isRest = false;
  #wholeFirst = false;
  #rangeIndex = 0;
  #lastFillMs = 0;
  /** The reader did not ask for long while this response was open. */
  #hasPaused = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(
    context: Context,
    hosts: Hosts,
    {
      url,
      ranges,
      options,
    }: {
      readonly url: string;
      readonly ranges: readonly ByteRange[];
      readonly options: ReadOptions;
    },
  ) {
    this.#context = context;
    this.#hosts = hosts;
    this.#urlText = url;
    this.#options = options;
    this.#object = options.object ?? XORB_DATA;
    this.#cutter = new RangeCutter(ranges);
  }

  get rangeIndex(): number {
    return this.#rangeIndex;
  }

  async fill(into: Uint8Array): Promise<number> {
    if (this.#failure !== null) throw this.#failure.error;
    if (this.#cutter.done || into.length === 0) return 0;
    this.#scope ??= this.#options.openScope();
    const scope = this.#scope;
    const pausedMs = this.#context.clock.now() - this.#lastFillMs;
    if (this.#body !== null && pausedMs >= LONG_PAUSE_MS) this.#hasPaused = true;
    try {
      for (;;) {
        scope.check();
        const count = await this.#step(into);
        if (count > 0) return count;
      }
    } catch (error) {
      const reason = scope.ended ? scope.reason : error;
      this.#failure = { error: reason };
      this.#close();
      throw reason;
    } finally {
      this.#lastFillMs = this.#context.clock.now();
    }
  }

  cancel(): void {
    // After the end the rest of the response may still be read, for the sake of its connection.
    if (this.#cutter.done) return;
    this.#failure ??= {
      error: new OrbweaverError('ABORTED', 'the ranges are not wanted any more'),
    };
    this.#close();
  }

  #close(): void {
    this.#scope?.end(this.#failure?.error);
    this.#body?.cancel();
    this.#body = null;
  }

  /** Bytes that came, or 0: ask again. @throws the error of the last attempt */
  async #step(into: Uint8Array): Promise<number> {
    const cutter = this.#cutter;
    try {
      this.#body ??= await this.#open();
      if (this.#body === null) return 0;
      this.#rangeIndex = cutter.index;
      const count = await this.#body.read(cutter, into);
      if (count > 0) {
        this.#gained(count);
        return count;
      }
      this.#bodyEnded();
    } catch (exception) {
      await this.#broke(asFailure(exception));
    }
    return 0;
  }

  #gained(count: number): void {
    this.#gainedBytes += count;
    const enough =
      this.#gainedBytes >= PROGRESS_BYTES || this.#gainedBytes >= PROGRESS_SHARE * this.#askedBytes;
    if (enough) this.#attempts?.progress();
    if (!this.#cutter.done) return;
    const { finished } = this.#endBody();
    void finished.then(() => this.#scope?.close());
  }

  /** Lets go of the response; what is left of it is read in the background if it is short. */
  #endBody(): { readonly finished: Promise<void> } {
    const finished = this.#body?.finish() ?? Promise.resolve();
    this.#body = null;
    return { finished };
  }

  /** Sends a request. Null: its response is of no use, the next one will be another. */
  async #open(): Promise<PlacedBody | null> {
    const call = this.#begin();
    const { host } = call.url;
    const onlyFirst = this.#hosts.singleRange.has(host);
    const asked = this.#cutter.missing({ onlyFirst, wholeFirst: this.#wholeFirst });
    this.#askedCount = asked.length;
    this.#askedBytes = asked.reduce((sum, { start, end }) => sum + end - start, 0);
    this.#gainedBytes = 0;
    this.#hasPaused = false;
    this.#isRest = this.#cutter.insideRange && !this.#wholeFirst;
    this.#options.onRequest?.();
    const received = await this.#ask(call, asked);
    const body = placedBody(received, asked, this.#object);
    if (body === null) this.#oneAtATime(host);
    return body;
  }

  #begin(): Call {
    if (this.#call !== null) return this.#call;
    const url = parsedUrl(this.#urlText);
    const name = `GET of ${this.#object.name}`;
    const scope = this.#scope as Scope;
    const toCas = this.#object.isAtEndpoint;
    this.#call = createCall({ name, method: 'GET', url, scope, toCas });
    this.#attempts = createAttempts(this.#context, this.#call);
    return this.#call;
  }

  /** Turns every status that brings no data into a failure. */
  async #ask(call: Call, asked: readonly ByteRange[]): Promise<Received> {
    const { send, commonHeaders, clock } = this.#context;
    const list = asked.map(({ start, end }) => `${start}-${end - 1}`).join(',');
    const headers = { accept: '*/*', ...commonHeaders, range: `bytes=${list}` };
    const response = await send({ method: 'GET', url: call.url, headers, body: null, call });
    const received = { call, response };
    if (response.status === 200 || response.status === 206) return received;
    if (response.status === 404 && this.#isBesideEndpoint(call.url)) {
      throw await statusFailure(this.#context, received, {
        fields: () => ({ hint: PUBLIC_URL_HINT }),
      });
    }
    if (response.status !== 403) throw await statusFailure(this.#context, received);
    const serverDate = Date.parse(response.headers['date'] ?? '');
    const unixMs = Number.isFinite(serverDate) ? serverDate : clock.unixMs();
    throw await statusFailure(this.#context, received, {
      fields: (bodyText) => ({ expired: isExpired(call.url, bodyText, unixMs) }),
    });
  }

  /** A URL that the endpoint's own host named, without the path that the endpoint lies below. */
  #isBesideEndpoint({ host, pathname }: URL): boolean {
    const { endpoint } = this.#context;
    return host === endpoint.host && !pathname.startsWith(endpoint.pathname);
  }

  /** The body ended in good order and something is missing. */
  #bodyEnded(): void {
    const call = this.#call as Call;
    const several = this.#askedCount > 1;
    const moved = this.#gainedBytes > 0;
    const { name } = this.#object;
    this.#endBody();
    if (several) {
      this.#oneAtATime(call.url.host);
      if (moved) return;
    }
    // Cut by something on the way that hid it; the rest may come at the next attempt.
    const [code, message] = moved
      ? (['TRUNCATED', `"body" of ${name} expected the asked range, got a part of it`] as const)
      : (['PROTOCOL', `"body" of ${name} expected the asked bytes, got none of them`] as const);
    throw failure(call, code, message, { retry: moved || !several });
  }

  async #broke(broken: AttemptFailure): Promise<void> {
    const moved = this.#gainedBytes > 0;
    this.#body?.cancel();
    this.#body = null;
    if (this.#isRest && !moved && isRefusal(broken)) {
      this.#wholeFirst = true;
      return;
    }
    const { code } = broken.error;
    if (this.#askedCount > 1 && !moved && (code === 'PROTOCOL' || code === 'REJECTED')) {
      this.#oneAtATime((this.#call as Call).url.host);
      return;
    }
    if (this.#hasPaused && moved && broken.retry && code === 'NETWORK') return;
    const attempts = this.#attempts;
    if (attempts === null) throw broken.error;
    if (broken.status === 429 || broken.status === 503) this.#options.onRefused?.();
    await attempts.next(broken);
  }

  #oneAtATime(host: string): void {
    const { singleRange } = this.#hosts;
    if (singleRange.size >= MOST_HOSTS) singleRange.clear();
    singleRange.add(host);
  }
}

/** A refusal of the ranges rather than of the request: a rest of a range that was signed whole. */
function isRefusal(broken: AttemptFailure): boolean {
  return broken.status === 403 || broken.status === 400 || broken.status === 416;
}
