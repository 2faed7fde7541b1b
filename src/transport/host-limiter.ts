import type { Clock, Scope } from '../flow/index.js';
import type { Layer } from './call.js';
import { requestedPauseMs } from './retry-table.js';

/**
 * One brake per host, shared by all calls of a client. It does nothing until a host responses 429;
 * then nobody asks that host before the pause is over, and afterwards requests are spaced out:
 *
 *     rate after a 429    half of what got through in the second before
 *     every success       5 % faster, up to 80 % of what got through
 *     a minute of quiet   the brake is forgotten
 *
 * So the limit of the server, which we are not told, is approached from below and not crossed.
 */
export interface HostLimiter {
  /** Resolves when a request to `host` may start. @throws OrbweaverError the reason of the scope */
  enter(host: string, scope: Scope): Promise<void>;
  /** A response was anything but 429. */
  succeeded(host: string): void;
  /** A 429; `pauseMs` is what the server asked for, if it did. Longer pauses than the longest are cut. */
  limited(host: string, pauseMs: number | null): void;
}

interface Brake {
  pausedUntil: number;
  requestsPerSecond: number;
  ceilingPerSecond: number;
  nextSlot: number;
  lastLimited: number;
}

/** Pause after a 429 that names none. */
const DEFAULT_PAUSE_MS = 1000;
const FORGET_AFTER_MS = 60_000;
/** Window in which responses are counted. */
const WINDOW_MS = 1000;
const SLOWEST_PER_SECOND = 0.5;
const GROWTH = 1.05;
const CEILING_SHARE = 0.8;
const START_SHARE = 0.5;
/** Responses remembered per host: enough to know any rate that a server would refuse. */
const MOST_RESPONSES = 1000;
/** Hosts remembered; a session talks to a handful. */
const MOST_HOSTS = 256;

export function createHostLimiter(clock: Clock, longestPauseMs: number): HostLimiter {
  const brakes = new Map<string, Brake>();
  const responses = new Map<string, number[]>();

  const brakeOf = (host: string): Brake | undefined => {
    const brake = brakes.get(host);
    if (brake === undefined) return undefined;
    if (clock.now() - Math.max(brake.lastLimited, brake.pausedUntil) < FORGET_AFTER_MS)
      return brake;
    brakes.delete(host);
    return undefined;
  };

  return {
    async enter(host, scope) {
      for (;;) {
        const brake = brakeOf(host);
        if (brake === undefined) return;
        const now = clock.now();
        const slot = Math.max(now, brake.nextSlot, brake.pausedUntil);
        if (slot <= now) {
          brake.nextSlot = now + 1000 / brake.requestsPerSecond;
          return;
        }
        // The slot is taken now, so that waiters keep their order and their distance. A pause that
        // begins in between sends them all round again.
        brake.nextSlot = slot + 1000 / brake.requestsPerSecond;
        await scope.sleep(slot - now);
        if (brake.pausedUntil <= clock.now()) return;
      }
    },
    succeeded(host) {
      const now = clock.now();
      const seen = responses.get(host);
      if (seen === undefined) {
        if (responses.size >= MOST_HOSTS) responses.clear();
        responses.set(host, [now]);
      } else {
        seen.push(now);
        if (seen.length > 2 * MOST_RESPONSES) seen.splice(0, seen.length - MOST_RESPONSES);
      }
      const brake = brakeOf(host);
      if (brake !== undefined) {
        brake.requestsPerSecond = Math.min(
          brake.requestsPerSecond * GROWTH,
          brake.ceilingPerSecond,
        );
      }
    },
    limited(host, pauseMs) {
      const now = clock.now();
      const recent = (responses.get(host) ?? []).filter((at) => now - at < WINDOW_MS).length;
      const known = brakeOf(host);
      const pausedUntil = now + Math.min(pauseMs ?? DEFAULT_PAUSE_MS, longestPauseMs);
      if (known !== undefined && now < known.pausedUntil) {
        // Responses to requests of the same burst: one mistake, not many.
        known.pausedUntil = Math.max(known.pausedUntil, pausedUntil);
        known.lastLimited = now;
        return;
      }
      const measured = Math.max(recent, SLOWEST_PER_SECOND);
      const got = known === undefined ? measured : Math.min(measured, known.requestsPerSecond);
      if (brakes.size >= MOST_HOSTS) brakes.clear();
      const brake: Brake = {
        pausedUntil,
        requestsPerSecond: Math.max(got * START_SHARE, SLOWEST_PER_SECOND),
        ceilingPerSecond: Math.max(got * CEILING_SHARE, SLOWEST_PER_SECOND),
        nextSlot: pausedUntil,
        lastLimited: now,
      };
      // In place: callers that wait look at the brake they found.
      if (known === undefined) brakes.set(host, brake);
      else Object.assign(known, brake);
    },
  };
}

/** Keeps to the limiter, and tells it and `reachedHosts` what came back. */
export function limit(limiter: HostLimiter, reachedHosts: Set<string>, clock: Clock): Layer {
  return (next) => async (request) => {
    const { host } = request.url;
    await limiter.enter(host, request.call.scope);
    const response = await next(request);
    reachedHosts.add(host);
    if (response.status !== 429) limiter.succeeded(host);
    else if (request.call.ownPauses !== true) {
      limiter.limited(host, requestedPauseMs(response.headers, clock.unixMs()));
    }
    return response;
  };
}
