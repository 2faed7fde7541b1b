import type {
  Body,
  Exchange,
  HttpHeaders,
  HttpRequest,
  HttpResponse,
} from '../../src/http/index.js';
import type { AttemptFailure } from '../../src/transport/failures.js';
import { failureOfException } from '../../src/transport/failures.js';
import { createMasker } from '../../src/transport/mask.js';

/** What every wire is asked in the conformance suite, and helpers to ask it. */

/** One way to send, and what it cannot be asked, with the reason. */
export interface WireUnderTest {
  readonly name: string;
  readonly protocols: readonly ('http' | 'https')[];
  /** `lookup` stands for the resolver of the system. */
  readonly make: (lookup?: unknown) => { exchange: Exchange; close(): Promise<void> };
  /** That requests one after another use; undici frees a connection a little after its response. */
  readonly mostConnections: number;
  readonly skips: Readonly<Partial<Record<Scenario, string>>>;
}

export type Scenario =
  | 'sends bodies'
  | 'sends views'
  | 'refusal with a cut'
  | 'bare LF'
  | 'early hints'
  | 'HEAD'
  | 'connecting';

export function ask(
  exchange: Exchange,
  url: string,
  request: Partial<Omit<HttpRequest, 'url'>> = {},
): Promise<HttpResponse> {
  const headers: HttpHeaders = { range: 'bytes=0-', ...request.headers };
  const signal = request.signal ?? new AbortController().signal;
  return exchange({ method: 'GET', body: null, ...request, headers, signal, url: new URL(url) });
}

/** All of a body, in fills of `fillBytes`. */
export async function bytesOf(
  body: Body | null,
  { fillBytes = 100_000, onFill = () => {} }: { fillBytes?: number; onFill?: () => unknown } = {},
): Promise<Buffer> {
  const parts: Buffer[] = [];
  const into = new Uint8Array(new ArrayBuffer(fillBytes));
  while (body !== null) {
    const count = await body.fill(into);
    if (count === 0) break;
    parts.push(Buffer.from(into.slice(0, count)));
    await onFill();
  }
  return Buffer.concat(parts);
}

/** What came before the failure of a body, and the failure as the client would tell it. */
export async function brokenBody(
  body: Body | null,
): Promise<{ bytes: Buffer; failure: AttemptFailure }> {
  const parts: Buffer[] = [];
  const into = new Uint8Array(100_000);
  try {
    for (;;) {
      const count = (await body?.fill(into)) ?? 0;
      if (count === 0) throw new RangeError('the body ended in good order');
      parts.push(Buffer.from(into.slice(0, count)));
    }
  } catch (error) {
    if (error instanceof RangeError) throw error;
    return { bytes: Buffer.concat(parts), failure: asFailure(error) };
  }
}

export function asFailure(error: unknown): AttemptFailure {
  const operation = { name: 'GET', url: new URL('http://host/') };
  return failureOfException(operation, error, createMasker());
}
