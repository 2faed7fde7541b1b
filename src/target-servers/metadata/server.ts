import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../flow/index.js';
import { bytesBody, type Exchange } from '../../http/index.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { hexId } from '../ids.js';
import { type ListenOptions, listen } from '../listen.js';
import {
  BASE,
  type CidProfile,
  handleApi,
  type MetadataCounts,
  type MetadataState,
  objectOf,
} from './api.js';
import { handleBucket, signUrl } from './bucket.js';
import { cidsOf } from './cids.js';
import type { MetadataFaults } from './faults.js';

/** How the servers behave. */
export interface MetadataServerOptions extends Pick<ListenOptions, 'host' | 'port'> {
  /** @default a random one */
  readonly apiKey?: string | undefined;
  /** `0x` and 40 hex digits. @default a random one */
  readonly issuer?: string | undefined;
  /** @default raw-256KiB-174 */
  readonly cidProfile?: CidProfile | undefined;
  /** Time between two steps of the calculation, ms; 0: by `tick` only. @default 0 */
  readonly tickMs?: number | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly faults?: MetadataFaults | undefined;
}

/** A metadata server and its bucket. */
export interface MetadataServer {
  /** `<origin>/port/api/v1/commerce` */
  readonly url: string;
  readonly bucketUrl: string;
  /** Both, without a socket. */
  readonly exchange: Exchange;
  readonly apiKey: string;
  readonly issuer: string;
  /** To be changed at any time. */
  readonly faults: MetadataFaults;
  readonly counts: Readonly<MetadataCounts>;
  cidProfile: CidProfile;
  /** One step of the calculation for every stored file. */
  tick(): Promise<void>;
  /** The bytes of a stored file; empty when there is none. */
  read(fileName: string): Promise<Uint8Array>;
  /** Stores a file as if somebody had uploaded it before. */
  plant(fileName: string, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/**
 * A file-metadata API and its bucket on loopback, on a port each: it signs, checks signatures, stores
 * and calculates for real, and fails in every way that is asked for.
 *
 * @example
 * const server = await startMetadataServer();
 * await server.tick();
 * await server.close();
 */
export async function startMetadataServer(
  options: MetadataServerOptions = {},
): Promise<MetadataServer> {
  checkOptions('startMetadataServer', options, {
    port: is.integer(0, 65_535),
    host: is.text,
    apiKey: is.text,
    issuer: is.text,
    cidProfile: is.text,
    tickMs: is.number(0),
    clock: is.object,
    faults: is.object,
  });
  const { clock = SYSTEM_CLOCK, host } = options;
  const counts: MetadataCounts = {
    puts: 0,
    stored: 0,
    leakedHeaders: 0,
    extraHeaders: 0,
    signedUrls: 0,
    metadataCalls: 0,
    longestBatch: 0,
  };
  let profile: CidProfile = options.cidProfile ?? 'raw-256KiB-174';
  const state: MetadataState = {
    clock,
    faults: options.faults ?? {},
    key: hexId(32),
    dataDir: await mkdtemp(join(tmpdir(), 'orbweaver-metadata-')),
    objects: new Map(),
    counts,
    metadata: counts,
    url: '',
    apiKey: options.apiKey ?? hexId(24),
    issuer: options.issuer ?? `0x${hexId(20)}`,
    facts: new Map(),
    profile: () => profile,
  };
  const bucket = await listen((request) => handleBucket(state, request), { host });
  state.url = bucket.url;
  const api = await listen((request) => handleApi(state, request), {
    ...{ host, port: options.port },
  });
  // One step after another, however many are asked for at once.
  let ticking: Promise<void> = Promise.resolve();
  const nextTick = (): Promise<void> => {
    ticking = ticking.then(() => tick(state));
    return ticking;
  };
  const stop = everyTick(clock, options.tickMs ?? 0, nextTick);
  return {
    url: `${api.url}${BASE}`,
    bucketUrl: bucket.url,
    exchange: (request) =>
      request.url.pathname.startsWith(`${BASE}/`)
        ? handleApi(state, request)
        : handleBucket(state, request),
    apiKey: state.apiKey,
    issuer: state.issuer,
    faults: state.faults,
    counts,
    get cidProfile() {
      return profile;
    },
    set cidProfile(value) {
      profile = value;
    },
    tick: nextTick,
    async read(fileName) {
      const stored = state.objects.get(objectOf(state, fileName));
      return stored === undefined ? new Uint8Array(0) : new Uint8Array(await readFile(stored.path));
    },
    async plant(fileName, bytes) {
      const url = signUrl(state, {
        method: 'PUT',
        object: objectOf(state, fileName),
        contentType: 'text/plain',
        issuedMs: clock.unixMs(),
      });
      const before = { ...counts };
      const headers = { 'content-type': 'text/plain' };
      const { signal } = new AbortController();
      const body = bytesBody(bytes);
      await handleBucket(state, { method: 'PUT', url: new URL(url), headers, body, signal });
      Object.assign(counts, before);
    },
    async close() {
      stop();
      await api.close();
      await bucket.close();
      await rm(state.dataDir, { recursive: true, force: true });
    },
  };
}

function everyTick(clock: Clock, periodMs: number, run: () => Promise<void>): () => void {
  if (periodMs === 0) return () => {};
  let stop = (): void => {};
  let over = false;
  const next = (): void => {
    stop = clock.setTimer(periodMs, () => {
      void run().then(() => {
        if (!over) next();
      });
    });
  };
  next();
  return () => {
    over = true;
    stop();
  };
}

/** Hash first, then the CID, or both at once. */
async function tick(state: MetadataState): Promise<void> {
  for (const [object, stored] of state.objects) {
    const known = state.facts.get(object);
    if (known !== undefined) {
      known.cidVisible = true;
      continue;
    }
    const made = await cidsOf(stored.path);
    state.facts.set(object, {
      hash: `sha256-${stored.sha256}`,
      size: stored.sizeBytes,
      cids: {
        raw: made.cidRaw ?? '',
        'raw-256KiB-174': made.cid256KiB174 ?? '',
        'unixfs-v1-2025': made.cid1MiB1024 ?? '',
        // An importer that keeps a mode makes a dag-pb root of everything.
        unknown: 'bafybeihykld7uyxzogax6vgyvag42y7464eywpf55gxi5qpoisibh3c5wa',
      },
      cidVisible: state.faults.hashBeforeCid !== true,
    });
  }
}
