import type { FetchRange, XorbFetch } from '../plan/index.js';
import type { Call } from './call.js';
import { xorbKey } from './keys.js';
import type { ObjectStore } from './ports.js';
import type { ReconstructionPlan } from './reconstruct.js';
import type { GatewayServices } from './services.js';
import { signUrl, splitForUrls } from './signed-url.js';
import { createYielder } from './turns.js';

/**
 * The URLs of a reconstruction: the gateway's own, each good for several ranges of a xorb, or the store's,
 * each good for one range, of which the gateway then carries no byte.
 */

/** What the URLs of a response need. */
export interface UrlRequest {
  readonly plan: ReconstructionPlan;
  /** Version 1 has one URL per range; version 2 one for all of a xorb, or several when it grows long. */
  readonly version: 1 | 2;
}

/**
 * More ranges in one response than this are short ones (of 1 GiB half a MiB each, whatever its reader
 * wants of them), for which one request of a dozen to the gateway costs everybody less than a dozen to the
 * store. Signing them would take half a second of the one thread that serves everybody.
 */
export const MAX_DIRECT_RANGES = 2048;

/** Signatures between two turns of others: some four milliseconds. */
const SIGNED_PER_TURN = 16;

/** One xorb after another; those of the gateway are signed when they are asked for. */
export async function fetchUrls(
  services: GatewayServices,
  call: Call,
  request: UrlRequest,
): Promise<Iterable<XorbFetch>> {
  const { store, settings } = services;
  const signedGet = settings.directDownloads && call.isOutside ? store.signedGet : undefined;
  const rangeCount = request.plan.fetches.reduce((sum, { ranges }) => sum + ranges.length, 0);
  return signedGet === undefined || rangeCount > MAX_DIRECT_RANGES
    ? ownUrls(services, call, request)
    : storeUrls(services, signedGet.bind(store), request.plan);
}

function* ownUrls(
  { clock, secrets, settings }: GatewayServices,
  { baseUrl }: Call,
  { plan, version }: UrlRequest,
): Generator<XorbFetch> {
  const expiresSeconds = Math.ceil((clock.unixMs() + settings.urlLifetimeMs) / 1000);
  for (const { xorb, ranges } of plan.fetches) {
    const spans = ranges.map((range) => ({ start: range.byteStart, end: range.byteEnd, range }));
    const groups =
      version === 1 ? spans.map((span) => [span]) : splitForUrls(baseUrl, spans, secrets);
    const entries = groups.map((group) => {
      const url = signUrl(secrets, baseUrl, xorb, { ranges: group, expiresSeconds });
      return { url, ranges: group.map(({ range }): FetchRange => range) };
    });
    yield { xorb, entries };
  }
}

async function storeUrls(
  { settings }: GatewayServices,
  signedGet: NonNullable<ObjectStore['signedGet']>,
  plan: ReconstructionPlan,
): Promise<XorbFetch[]> {
  const yieldAfter = createYielder(SIGNED_PER_TURN);
  const fetches: XorbFetch[] = [];
  for (const { xorb, ranges } of plan.fetches) {
    const entries: XorbFetch['entries'][number][] = [];
    for (const range of ranges) {
      const { url } = await signedGet(xorbKey(xorb), {
        start: range.byteStart,
        end: range.byteEnd,
        lifetimeMs: settings.urlLifetimeMs,
      });
      entries.push({ url, ranges: [range] });
      await yieldAfter(1);
    }
    fetches.push({ xorb, entries });
  }
  return fetches;
}
