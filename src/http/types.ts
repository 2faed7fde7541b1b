/**
 * One request, one response, one body that is pulled. Clients, servers and everything between them
 * speak these types: a wire of the client, a middleware, a route of the gateway and an adapter of a
 * framework are all the same {@link Exchange}. Types only; nothing of Node, nothing of the browser.
 *
 *     client    retry(limit(token(urlPolicy(watchdog(wire)))))
 *     gateway   fault(cors(auth(budget(router))))
 *     in process: the wire of the client is the exchange of a gateway
 */

/** Values by lower-case name; lines of the same name are joined by `, `. */
export type HttpHeaders = Readonly<Record<string, string>>;

/**
 * Bytes on their way, pulled by whoever wants them: what is not asked for stays with its sender, and
 * that is all the back-pressure there is. Whoever got a body reads it to its end or cancels it.
 */
export interface Body {
  /** Bytes in all, when that is known before the first one; a body that ends elsewhere rejects. */
  readonly sizeBytes?: number | undefined;
  /**
   * Writes the next bytes to the start of `into` and resolves with how many; 0: the end. Only one
   * call at a time. `into` is the body's until the promise has settled, also when it is cancelled.
   * @throws OrbweaverError `NETWORK`, `STALLED`, `TRUNCATED`…: what broke it
   */
  fill(into: Uint8Array): Promise<number>;
  /**
   * For bodies that lie in memory: the next bytes, at most `maxBytes`, without a copy; an empty view
   * is the end. The view stays valid until the body is read to its end or cancelled.
   */
  nextView?(maxBytes: number): Uint8Array;
  /**
   * For bodies that come in memory of their own (sockets, streams): the next piece without a copy,
   * the caller's for good; an empty one is the end. The same rules as for `fill`.
   */
  take?(): Promise<Uint8Array>;
  /**
   * For bodies whose bytes may not be taken as fast as they could be: how many may be taken at once with
   * the next `nextView`, at most `maxBytes`; a promise where that has to be waited for. To be asked
   * before each view; `fill` waits by itself.
   */
  allowance?(maxBytes: number): number | Promise<number>;
  /** For bodies that can be sent again: the next byte is the first one. */
  rewind?(): void;
  /** Nothing more is wanted; safe to call twice, and during a `fill`. Never throws. */
  cancel(reason?: unknown): void;
}

/** A request. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string;
  /** Absolute, without a fragment. */
  readonly url: URL;
  readonly headers: HttpHeaders;
  /** Address of who asks, where a server knows it. */
  readonly client?: string | undefined;
  /** Null: none. */
  readonly body: Body | null;
  /** Fires when the caller wants no response any more (client), or is gone (server). */
  readonly signal: AbortSignal;
}

/** A response whose body is still on its way. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Null: none. */
  readonly body: Body | null;
}

/**
 * Sends a request and resolves with the head of the response. It rejects when there is none: a
 * status is never an exception. The body of the request belongs to the exchange.
 */
export type Exchange = (request: HttpRequest) => Promise<HttpResponse>;
