/**
 * The narrow place through which requests leave: one request out, the head of one answer back.
 * Nothing on this side of it tries again, follows, judges, measures time or knows a secret, so that
 * another way to send (a proxy, HTTP/2, a mock) is another small adapter and no second policy.
 */
export interface Wire {
  send(request: WireRequest): WireCall;
  /** Breaks what is open; the connections of a caller's own dispatcher stay. */
  close(): Promise<void>;
}

/** One request under way. */
export interface WireCall {
  /**
   * The head of the answer, which may be there before the body is sent. Fails with what the connection
   * says: an error with a `code`.
   */
  readonly answer: Promise<WireAnswer>;
  /**
   * Breaks the connection, before and after the head of the answer: from here on no byte of the
   * request's body is read. After the end of both bodies it does nothing.
   */
  destroy(): void;
}

export interface WireRequest {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  /** Names in lower case; the host and the length of the body are the wire's to add. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: WireBody | null;
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
  /**
   * The next bytes of the body, which are the caller's from then on, or null at its end. One at a time.
   * @throws what the connection says
   */
  read(): Promise<Uint8Array | null>;
}

/** A header as parsers of Node give it. */
export function joinedHeader(value: string | readonly string[] | undefined): string | null {
  if (value === undefined) return null;
  return typeof value === 'string' ? value : value.join(', ');
}
