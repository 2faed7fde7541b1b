import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { FileSource } from '../gateway/ports.js';
import type { MerkleHash } from '../hash/index.js';
import type { Exchange } from '../http/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { UPSTREAM_RULES } from './client-rules.js';
import type { ClientOptions, OrbweaverClient } from './client-types.js';

/**
 * A gateway as a mirror: a file that is asked for and not registered is streamed from another store into
 * this one, by a client on either side. So whatever a download checks is checked, and the upload hashes
 * the bytes once more: nothing of the other store is served before it stands here under its own hash, and
 * once it does, the other store may be gone. Xorbs are packed anew, because a reconstruction gives no
 * right to more of a xorb than the file uses; chunks that are here already are not stored twice.
 */

/** Another store of the protocol. */
export interface UpstreamOptions
  extends Pick<ClientOptions, 'token' | 'ca' | 'allowHosts' | 'retry'> {
  /** URL of the store. */
  readonly endpoint: string;
  /**
   * How long a request waits for its file, in milliseconds; then it gets 503, and the file goes on coming
   * for whoever asks again. Below what clients wait for a response. @default 20000
   */
  readonly waitMs?: number | undefined;
}

/** Brings files from another store. */
export interface Mirror extends FileSource {
  /** Where they are stored: a gateway, and a token that may append. Before the first `bring`. */
  into(place: { readonly exchange: Exchange; readonly token: string }): void;
  /** Drops what is under way. */
  close(): Promise<void>;
}

const RULES: OptionRules<UpstreamOptions> = { ...UPSTREAM_RULES, waitMs: is.number(0) };

const DEFAULT_WAIT_MS = 20_000;
/** Files that come at a time; each is a stream of its own on both sides. */
const CONCURRENT_FILES = 4;
/** Of each of the two clients. */
const CLIENT_MEMORY_BYTES = 64 * 1024 * 1024;
/** Whoever asked waits meanwhile, and asks again by itself. */
const RETRIES = 2;

/**
 * A source of missing files for `createGateway({ upstream })`; `startGateway` makes it by itself.
 *
 * @throws TypeError for an endpoint that is no URL
 * @example
 * const mirror = createMirror({ endpoint: 'https://cas.example.com', token: 'secret' });
 * await mirror.close();
 */
export function createMirror(options: UpstreamOptions): Mirror {
  checkOptions('createMirror', options, RULES);
  const { waitMs = DEFAULT_WAIT_MS, endpoint, retry, ...upstream } = options;
  if (!URL.canParse(endpoint)) throw new TypeError(`"upstream" expected a URL, got "${endpoint}"`);
  const closing = new AbortController();
  const { signal } = closing;
  const flights = new Map<string, Promise<boolean>>();
  const takeTurn = createTurnstile(CONCURRENT_FILES);
  let place: { readonly exchange: Exchange; readonly token: string } | null = null;
  let opening: Promise<readonly [OrbweaverClient, OrbweaverClient]> | null = null;

  const open = async (): Promise<readonly [OrbweaverClient, OrbweaverClient]> => {
    if (place === null) throw new TypeError('"into" expected to be called before "bring"');
    const { createClient } = await import('./client.js');
    const maxMemory = CLIENT_MEMORY_BYTES;
    const from = await createClient({
      ...upstream,
      endpoint,
      maxMemory,
      retry: { retries: RETRIES, ...retry },
    });
    const into = await createClient({
      endpoint: 'http://gateway.internal',
      ...place,
      maxMemory,
      grants: 'never',
    });
    return [from, into];
  };

  async function fetchFile(hash: string): Promise<boolean> {
    opening ??= open();
    const [from, into] = await opening;
    const data = from.stream(hash, { signal });
    let broken: { readonly error: unknown } | null = null;
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      try {
        yield* data;
      } catch (error) {
        broken = { error };
        throw error;
      }
    };
    const failed = (): { readonly error: unknown } | null => broken;
    try {
      const { files, failed: refused } = await into.upload(
        { name: hash, data: watched() },
        { signal },
      );
      const [stored] = files;
      if (stored?.fileHash === hash) return true;
      const error = failed()?.error;
      if (error === undefined && stored !== undefined) throw cutOtherwise(hash);
      throw error ?? new OrbweaverError(refused[0]?.code ?? 'INTERNAL', refused[0]?.message ?? '');
    } catch (exception) {
      const error = failed()?.error ?? exception;
      if (isOrbweaverError(error) && error.code === 'NOT_FOUND') return false;
      if (signal.aborted) throw new OrbweaverError('CLOSED', 'the gateway is shutting down');
      throw failed() === null ? notStored(hash, error) : asResponse(hash, error);
    }
  }

  const start = (hash: string): Promise<boolean> => {
    const flight = takeTurn(() => fetchFile(hash)).finally(() => flights.delete(hash));
    flights.set(hash, flight);
    // Nobody may be waiting any more when it fails.
    flight.catch(() => undefined);
    return flight;
  };

  return {
    into(given) {
      place = given;
    },
    async bring(file: MerkleHash) {
      if (signal.aborted) return false;
      const hash = file.toString();
      const flight = flights.get(hash) ?? start(hash);
      let stopTimer = (): void => undefined;
      const late = new Promise<never>((_, reject) => {
        stopTimer = SYSTEM_CLOCK.setTimer(waitMs, () => reject(stillComing(hash)));
      });
      try {
        return await Promise.race([flight, late]);
      } finally {
        stopTimer();
      }
    },
    async close() {
      closing.abort();
      await Promise.allSettled(flights.values());
      const clients = await opening?.catch(() => []);
      for (const client of clients ?? []) await client.close();
    },
  };
}

/** At most `count` at a time, the others in the order in which they came. */
function createTurnstile(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function stillComing(hash: string): OrbweaverError {
  const message = `file ${hash} is on its way from the upstream store: ask again`;
  return new OrbweaverError('RATE_LIMITED', message, { status: 503 });
}

function cutOtherwise(hash: string): OrbweaverError {
  const message = `file ${hash} of the upstream store was cut into other chunks than the protocol says`;
  return new OrbweaverError('UNSUPPORTED', message, { status: 502 });
}

/** What came could not be put into this gateway. */
function notStored(hash: string, error: unknown): OrbweaverError {
  if (isOrbweaverError(error) && error.fields['status'] === 502) return error;
  const isFull = isOrbweaverError(error) && error.code === 'DISK_FULL';
  const message = `file ${hash} came from the upstream store, and could not be stored here`;
  return new OrbweaverError(isFull ? 'DISK_FULL' : 'STORAGE_FAILED', message, {}, error);
}

/** What whoever asked is told: that it is the other store, and no more; the rest is for the log. */
function asResponse(hash: string, error: unknown): OrbweaverError {
  const code = isOrbweaverError(error) ? error.code : 'INTERNAL';
  const because =
    code === 'NETWORK' || code === 'STALLED'
      ? 'cannot be reached'
      : code === 'AUTH_REQUIRED' || code === 'FORBIDDEN'
        ? 'does not accept the token of this gateway'
        : `failed with ${code}`;
  const message = `the upstream store ${because}, and file ${hash} is not stored here`;
  const isUnreachable = code === 'NETWORK' || code === 'STALLED';
  return new OrbweaverError(
    isUnreachable ? 'NETWORK' : 'SERVER_ERROR',
    message,
    { status: 502 },
    error,
  );
}
