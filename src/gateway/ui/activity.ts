import { LRUCache } from 'lru-cache';
import type { Clock } from '../../flow/index.js';
import type { Call } from '../call.js';
import { publicError, statusOf } from '../failures.js';
import { cleanText, messageOf } from '../log.js';
import { countedBody, type Step, withBody } from '../middleware.js';
import { createRing, type Ring, type Samples } from './ring.js';

/**
 * What a gateway is doing and did in the last hour, for the operator's page: sums for each tenant and for all
 * of them, requests in flight, the last faults. All of it is in memory, bounded, and gone with the process.
 */
export interface Activity {
  /** Watches every request; around all other steps. */
  readonly step: Step;
  /** Notes a fault of the server or the store. */
  fault(call: Call, error: unknown): void;
  samples(viewer: Viewer): Samples;
  /** Requests in flight, longest first. */
  active(viewer: Viewer): { readonly count: number; readonly requests: readonly ActiveRequest[] };
  /** Newest first. */
  faults(viewer: Viewer): readonly SeenFault[];
}

/** Who looks: an admin sees everything, everybody else what belongs to the same tenant, or to none. */
export interface Viewer {
  readonly isAdmin: boolean;
  readonly tenant: string | undefined;
}

/** A request whose response is not over. */
export interface ActiveRequest {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly principal: string | null;
  readonly tenant: string | null;
  readonly ageMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Something that was the server's or the store's fault. */
export interface SeenFault {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly method: string;
  readonly path: string;
  readonly tenant: string | null;
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Tenants whose last hour is kept; of others only the sum of all counts them. */
const MAX_TENANTS = 64;
const MAX_FAULTS = 100;
/** Requests that one look shows; the number of all is told besides. */
const MAX_SHOWN = 100;
const MAX_PATH_CHARS = 200;
/** Asked by supervisors and by the page itself, all the time. */
const UNWATCHED = /^\/(?:ui(?:\/|$)|health$|ready$|metrics$)/;

/** What the protocol says no with: there is no such chunk, a file has ended before this range. */
const ANSWERS = new Set([404, 416]);

interface Running {
  readonly call: Call;
  readonly sinceMs: number;
  receivedBytes: number;
  sentBytes: number;
}

type KeptFault = SeenFault & { readonly detail: string; readonly of: string | null | undefined };

export function createActivity(clock: Clock): Activity {
  const whole = createRing(clock);
  const rings = new LRUCache<string, Ring>({ max: MAX_TENANTS });
  const running = new Set<Running>();
  const faults: KeptFault[] = [];

  /** Undefined: nobody has found out yet, and then nobody but an admin sees it. */
  const ringsOf = (tenant: string | null | undefined): Ring[] => {
    if (tenant === undefined) return [whole];
    const name = tenant ?? '';
    let ring = rings.get(name);
    if (ring === undefined) {
      ring = createRing(clock);
      rings.set(name, ring);
    }
    return [whole, ring];
  };
  const sees = (viewer: Viewer, tenant: string | null | undefined): boolean =>
    viewer.isAdmin || tenant === (viewer.tenant ?? null);

  const step: Step = (next) => async (call) => {
    if (UNWATCHED.test(call.path)) return next(call);
    const { request, seen } = call;
    const one: Running = { call, sinceMs: clock.now(), receivedBytes: 0, sentBytes: 0 };
    running.add(one);
    const count = (field: 'receivedBytes' | 'sentBytes', bytes: number): void => {
      one[field] += bytes;
      for (const ring of ringsOf(seen.tenant)) ring.add(field, bytes);
    };
    const end = (status: number): void => {
      running.delete(one);
      for (const ring of ringsOf(seen.tenant)) {
        ring.add('requests', 1);
        ring.add('durationMs', clock.now() - one.sinceMs);
        if (status >= 500) ring.add('failed', 1);
        else if (status >= 400 && !ANSWERS.has(status)) ring.add('refused', 1);
      }
    };
    const body =
      request.body &&
      countedBody(request.body, { onBytes: (bytes) => count('receivedBytes', bytes) });
    try {
      const response = await next({ ...call, request: withBody(request, body) });
      if (response.body === null) {
        end(response.status);
        return response;
      }
      const watched = countedBody(response.body, {
        onBytes: (bytes) => count('sentBytes', bytes),
        onEnd: () => end(response.status),
      });
      return { ...response, body: watched };
    } catch (error) {
      end(500);
      throw error;
    }
  };

  return {
    step,
    fault({ request, requestId, path, seen }, error) {
      const { code, message } = publicError(error);
      faults.unshift({
        id: requestId,
        timeMs: clock.unixMs(),
        method: request.method,
        path: path.slice(0, MAX_PATH_CHARS),
        tenant: seen.tenant ?? null,
        of: seen.tenant,
        status: statusOf(error),
        code,
        message: cleanText(message),
        detail: cleanText(messageOf(error)),
      });
      faults.length = Math.min(faults.length, MAX_FAULTS);
    },
    samples: (viewer) => {
      const ring = viewer.isAdmin ? whole : ringsOf(viewer.tenant ?? null)[1];
      return (ring ?? whole).samples();
    },
    active(viewer) {
      const found = [...running].filter(({ call }) => sees(viewer, call.seen.tenant));
      const now = clock.now();
      const requests = found.slice(0, MAX_SHOWN).map(
        ({ call, sinceMs, receivedBytes, sentBytes }): ActiveRequest => ({
          id: call.requestId,
          method: call.request.method,
          path: call.path.slice(0, MAX_PATH_CHARS),
          principal: call.seen.principalId,
          tenant: call.seen.tenant ?? null,
          ageMs: Math.round(now - sinceMs),
          receivedBytes,
          sentBytes,
        }),
      );
      return { count: found.length, requests };
    },
    faults: (viewer) =>
      faults
        .filter(({ of }) => sees(viewer, of))
        // Messages that may name folders and hosts are for those who run the server.
        .map(({ detail, of: _of, ...fault }) =>
          viewer.isAdmin ? { ...fault, message: detail } : fault,
        ),
  };
}
