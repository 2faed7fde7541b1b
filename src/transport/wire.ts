/**
 * The narrow place through which requests leave: one request out, the head of one answer back.
 * Nothing on this side of it tries again, follows, judges, measures time or knows a secret, so that
 * another way to send (a proxy, HTTP/2, a mock) is another small adapter and no second policy.
 */
export interface Wire {
  /**
   * Resolves with the head of the answer, which may be there before the body is sent.
   * @throws what the connection says: an error with a `code`
   */
  send(request: WireRequest): Promise<WireAnswer>;
  /** Breaks what is open; the connections of a caller's own dispatcher stay. */
  close(): Promise<void>;
}

export interface WireRequest {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  /** Names in lower case; the host and the length of the body are the wire's to add. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: WireBody | null;
  /** Breaks the connection at once, before and after the head of the answer. */
  readonly signal: AbortSignal;
}

export interface WireBody {
  readonly sizeBytes: number;
  /**
   * The body in writes. The next one is asked for when the connection has taken the one before, and
   * its memory is borrowed until then. When they end early, no more is sent, and the connection is
   * not used again.
   */
  readonly writes: Iterable<Uint8Array>;
}

/** The answer; its body arrives as it is read. */
export interface WireAnswer {
  readonly status: number;
  /** A header by its lower-case name; several of one name are joined. */
  header(name: string): string | null;
  /** To be read at most once. Leaving it early breaks the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Breaks the connection: from here on no byte of the request's body is read. */
  destroy(): void;
}

/** A header as parsers of Node give it. */
export function joinedHeader(value: string | readonly string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : value.join(', ');
}
