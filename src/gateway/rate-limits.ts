import { LRUCache } from 'lru-cache';
import type { Clock } from '../flow/index.js';
import type { Body, HttpResponse } from '../http/index.js';
import type { Call } from './call.js';
import { failure } from './failures.js';
import { countedBody, type Step, withBody } from './middleware.js';

/** How much one principal may ask for. What is not given is not limited. */
export interface RateLimitOptions {
  /** Above 0. Ten seconds' worth may come at once, and one in any case. */
  readonly requestsPerSecond?: number | undefined;
  /**
   * Bytes of bodies, both ways, above 0. Ten seconds' worth may move at once. A request that has begun
   * ends; what it took too much delays the next ones.
   */
  readonly bytesPerSecond?: number | undefined;
}

const BURST_SECONDS = 10;
/** Who was not seen for longest has its full measure again. */
const MAX_KNOWN = 10_000;

/** What is left of a measure that fills up again; below zero it is owed. */
interface Bucket {
  left: number;
  atMs: number;
}

/** @throws TypeError, RangeError */
export function checkRateLimit(limits: RateLimitOptions, name: string): RateLimitOptions {
  for (const [key, value] of Object.entries(limits)) {
    if (key !== 'requestsPerSecond' && key !== 'bytesPerSecond') {
      throw new TypeError(`"${name}" expected requestsPerSecond and bytesPerSecond, got "${key}"`);
    }
    if (value !== undefined && !(typeof value === 'number' && value > 0)) {
      throw new RangeError(`"${name}.${key}" expected a number above 0, got ${value}`);
    }
  }
  return limits;
}

/**
 * Token buckets, one for each principal of a tenant; whoever comes with a signed URL counts as its address,
 * where that is known. Whoever has used up its measure gets 429 with `Retry-After`, before anything is read.
 * Supervisors are never limited: what needs neither token nor signature is passed on.
 */
export function limited(limits: RateLimitOptions | null, clock: Clock): Step {
  if (limits === null) return (next) => next;
  const requests = createBuckets(limits.requestsPerSecond, clock);
  const bytes = createBuckets(limits.bytesPerSecond, clock);
  return (next) => async (call) => {
    const who = whoOf(call);
    if (who === null) return next(call);
    const waitSeconds = Math.max(requests.waitSeconds(who), bytes.waitSeconds(who));
    if (waitSeconds > 0) {
      const fields = { retryAfterSeconds: Math.ceil(waitSeconds) };
      const message = `too much at once: try again in ${fields.retryAfterSeconds} seconds`;
      throw failure(429, 'RATE_LIMITED', message, undefined, fields);
    }
    requests.take(who, 1);
    const counted = (body: Body | null): Body | null =>
      body === null ? null : countedBody(body, { onBytes: (count) => bytes.take(who, count) });
    const { request } = call;
    const response: HttpResponse = await next({
      ...call,
      request: withBody(request, counted(request.body)),
    });
    return { ...response, body: counted(response.body) };
  };
}

function whoOf({ match, principal, request }: Call): string | null {
  if (match.kind !== 'route') return null;
  if (principal !== null) return `${principal.tenant ?? ''}\n${principal.id}`;
  // Not by the tenant that the URL names: anybody can make one up.
  if (match.route.checkSigned === undefined || request.client === undefined) return null;
  return `signed ${request.client}`;
}

function createBuckets(
  perSecond: number | undefined,
  clock: Clock,
): {
  /** 0: go on. */
  waitSeconds(who: string): number;
  take(who: string, amount: number): void;
} {
  if (perSecond === undefined) return { waitSeconds: () => 0, take: () => undefined };
  const most = Math.max(1, perSecond * BURST_SECONDS);
  const buckets = new LRUCache<string, Bucket>({ maxSize: MAX_KNOWN, sizeCalculation: () => 1 });
  const bucketOf = (who: string): Bucket => {
    const atMs = clock.now();
    const bucket = buckets.get(who) ?? { left: most, atMs };
    bucket.left = Math.min(most, bucket.left + ((atMs - bucket.atMs) * perSecond) / 1000);
    bucket.atMs = atMs;
    buckets.set(who, bucket);
    return bucket;
  };
  return {
    waitSeconds: (who) => {
      const { left } = bucketOf(who);
      return left >= 1 ? 0 : (1 - left) / perSecond;
    },
    take: (who, amount) => {
      bucketOf(who).left -= amount;
    },
  };
}
