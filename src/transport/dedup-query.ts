import type { DedupQuestion } from '../client/ports.js';
import { isOrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { bytesBody, drain } from '../http/index.js';
import {
  type CasCall,
  type Context,
  casCall,
  sendToCas,
  statusFailure,
  withHeldBody,
} from './context.js';
import { AttemptFailure } from './failures.js';

/**
 * Global dedup queries, about one chunk or many. Deduplication is an optimisation: whatever goes wrong here is a miss, is
 * over soon, and is not asked for over and over. A server that wants fewer queries gets fewer
 * queries; nothing else waits for that.
 */

/** Responses are keyed shards of at most 16 MiB; a little more for servers that count differently. */
const MAX_RESPONSE_BYTES = 17 * 1024 * 1024;
/** Failures in a row until nothing is asked for a while. */
const FAILURES_UNTIL_QUIET = 3;
const FIRST_QUIET_MS = 30_000;
const LONGEST_QUIET_MS = 600_000;

/**
 * What stands before a hash. Servers have the one or the other, and a miss does not tell which: the other one is
 * asked, too, for the first few misses, and the one that brought something is asked from then on.
 */
const PREFIXES = ['default-merkledb', 'default'] as const;
const MOST_LOOKS = 8;

/** Says whether there is memory for so many bytes of a response in all. */
type Admit = (totalBytes: number) => boolean;

/** Both questions; null is a miss. */
export interface DedupQuerying {
  one(chunk: MerkleHash, scope: Scope, admit?: Admit): Promise<Uint8Array | null>;
  many(question: DedupQuestion, scope: Scope, admit?: Admit): Promise<Uint8Array | null>;
}

/** The caller has no memory for the response: a miss, and nobody's failure. */
class NotAdmitted extends Error {}

/** A server that does not know what stands before the hash says so; that is no failure. */
function isNoPrefix(exception: unknown): boolean {
  const status = exception instanceof AttemptFailure ? exception.status : null;
  return status !== null && [400, 403, 405, 422].includes(status);
}

export function createDedupQueries(context: Context, timeoutMs: number): DedupQuerying {
  let failuresInRow = 0;
  let quietMs = FIRST_QUIET_MS;
  let quietUntil = Number.NEGATIVE_INFINITY;

  let prefix: (typeof PREFIXES)[number] | null = null;
  let looks = 0;
  /** `GET` under each prefix that may be the right one. */
  const askOne = async (
    chunk: MerkleHash,
    scope: Scope,
    admit: Admit | undefined,
  ): Promise<Uint8Array | null> => {
    const [first, second] = PREFIXES;
    const isOpen = prefix === null && looks < MOST_LOOKS;
    for (const asked of isOpen ? PREFIXES : [prefix ?? first]) {
      const isLook = isOpen && asked === second;
      if (isLook) looks++;
      const path = `v1/chunks/${asked}/${chunk}`;
      const facts = { method: 'GET', path, label: 'v1/chunks' } as const;
      const found = await ask(facts, null, scope, admit).catch((exception: unknown) => {
        if (!isLook || !isNoPrefix(exception)) throw exception;
        looks = MOST_LOOKS;
        return null;
      });
      if (found === null) continue;
      prefix = asked;
      return found;
    }
    return null;
  };

  const succeeded = (): void => {
    failuresInRow = 0;
    quietMs = FIRST_QUIET_MS;
  };
  const failed = (pauseMs: number | null): void => {
    const now = context.clock.now();
    failuresInRow++;
    if (pauseMs !== null) {
      const clamped = Math.min(pauseMs, context.retry.maxRetryAfterMs);
      quietUntil = Math.max(quietUntil, now + clamped);
    }
    if (failuresInRow < FAILURES_UNTIL_QUIET) return;
    // After the pause one more failure is enough to be quiet again, for longer.
    failuresInRow = FAILURES_UNTIL_QUIET - 1;
    quietUntil = Math.max(quietUntil, now + quietMs);
    quietMs = Math.min(quietMs * 2, LONGEST_QUIET_MS);
  };

  /** The shard, or null for a miss. Throws for everything else. */
  const ask = async (
    facts: Pick<CasCall, 'method' | 'path' | 'label'>,
    json: object | null,
    scope: Scope,
    admit: Admit | undefined,
  ): Promise<Uint8Array | null> => {
    const call = casCall(context, { ...facts, scope, ownPauses: true });
    const body = json === null ? null : bytesBody(new TextEncoder().encode(JSON.stringify(json)));
    const headers = json === null ? {} : { 'content-type': 'application/json' };
    const received = await sendToCas(context, call, { headers, body });
    const { status } = received.response;
    if (status === 404 || status === 204) {
      await drain(received.response.body);
      return null;
    }
    if (status !== 200) throw await statusFailure(context, received);
    const beforeTaking = (totalBytes: number): void => {
      if (admit?.(totalBytes) === false) throw new NotAdmitted();
    };
    // From here on the bytes are the caller's, who counts what it keeps.
    const limits = { limitBytes: MAX_RESPONSE_BYTES, beforeTaking };
    return withHeldBody(context, received, limits, (bytes) => bytes);
  };

  const tolerant = async (
    scope: Scope,
    run: (limited: Scope) => Promise<Uint8Array | null>,
  ): Promise<Uint8Array | null> => {
    scope.check();
    if (context.clock.now() < quietUntil) return null;
    const limited = scope.child({ what: 'the dedup query' });
    limited.after(timeoutMs, () => limited.close());
    try {
      const shard = await run(limited);
      succeeded();
      return shard;
    } catch (exception) {
      scope.check();
      if (exception instanceof NotAdmitted) return null;
      const isFailure = exception instanceof AttemptFailure;
      // A mistake of this program is not a miss.
      if (!isFailure && !isOrbweaverError(exception)) throw exception;
      failed(isFailure ? exception.pauseMs : null);
      return null;
    } finally {
      limited.close();
    }
  };

  return {
    one: (chunk, scope, admit) => tolerant(scope, (limited) => askOne(chunk, limited, admit)),
    many: ({ chunks, files = [] }, scope, admit) => {
      const path = 'v1/chunks/default-merkledb';
      const facts = { method: 'POST', path, label: 'v1/chunks' } as const;
      const json = { chunks: chunks.map(String), files: files.map(String) };
      return tolerant(scope, (limited) => ask(facts, json, limited, admit));
    },
  };
}
