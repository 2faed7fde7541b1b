import { createHash } from 'node:crypto';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import type * as hubs from 'orbweaver/hub';
import { generate } from '../../support/generators.js';
import { createFakeHub, type FakeHub, HUB, HUB_TOKEN } from './fake-hub.js';

/** A fake Hub with a gateway of ours as its store. */
export interface FakeRig {
  fake: FakeHub;
  readonly warnings: string[];
  /** Bytes of xorbs that were sent to the store. */
  sentXorbs: number;
  /** A Hub without repositories. */
  fresh(): void;
  /** Options of a hub that talks to it. */
  options(more?: hubs.HubOptions): hubs.HubOptions;
  /** Lets the fake know what the store calls a file, as the real Hub learns it from the shard. */
  know(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

const STORE_TOKEN = 'store-secret-of-the-test';

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

export const random = (seed: number, bytes: number): Uint8Array =>
  generate({ kind: 'splitmix64', seed, bytes });

export async function createFakeRig(): Promise<FakeRig> {
  const { hasher, codec } = await client.loadKernels();
  const gate = gateway.createGateway({
    store: gateway.createMemoryStore(),
    hasher,
    codec,
    tokens: [{ token: STORE_TOKEN, scope: 'write' }],
  });
  const stored = new Map<string, string>();
  const newFake = (): FakeHub =>
    createFakeHub({
      store: async (request) => {
        if (request.method === 'POST' && request.url.pathname.startsWith('/v1/xorbs')) {
          rig.sentXorbs += request.body?.sizeBytes ?? 0;
        }
        return gate.exchange(request);
      },
      storeToken: STORE_TOKEN,
      isLarge: (path) => path.endsWith('.bin'),
      xetHashOf: (of) => stored.get(of),
    });
  const rig: FakeRig = {
    fake: newFake(),
    warnings: [],
    sentXorbs: 0,
    fresh() {
      rig.fake = newFake();
      rig.sentXorbs = 0;
      rig.warnings.length = 0;
    },
    options: (more = {}) => ({
      hubUrl: HUB,
      accessToken: HUB_TOKEN,
      exchange: (request) => rig.fake.exchange(request),
      workers: 0,
      maxMemory: 16 << 20,
      retry: { retries: 0 },
      onWarning: (message) => rig.warnings.push(message),
      ...more,
    }),
    async know(bytes) {
      const { fileHash } = await client.chunkInput(bytes);
      stored.set(sha256(bytes), fileHash);
    },
    close: () => gate.close(),
  };
  return rig;
}
