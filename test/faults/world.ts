import { downloadVerified } from '../../src/client/downloads.js';
import { createUploadSession } from '../../src/client/index.js';
import type { CasClient } from '../../src/client/ports.js';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { memorySink } from '../../src/io/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import {
  type CasClientOptions,
  createCasClient,
  type RetryEvent,
} from '../../src/transport/index.js';
import type { WorkerPool } from '../../src/workers/index.js';
import { MemorySource } from '../client/upload/support.js';
import { createTestClock, type TestClock } from '../transport/support.js';
import { TEST_CERTIFICATE } from '../transport/tls-fixture.js';
import { type Fault, type FaultProxy, type Kind, startProxy, turns } from './proxy.js';

/** A client, a proxy that misbehaves and a gateway, with a clock that moves when nothing else does. */
export interface World {
  readonly cas: CasClient;
  readonly clock: TestClock;
  readonly proxy: FaultProxy;
  readonly retries: RetryEvent[];
  /** Tokens that were asked for after a refusal. */
  readonly refreshes: number;
  /** Milliseconds that passed on the clock of the client. */
  readonly passedMs: number;
  /** Puts files into the gateway without the proxy, one behind the other. @returns the last one's hash */
  seed(...files: Uint8Array[]): Promise<string>;
  upload(bytes: Uint8Array): Promise<string>;
  download(fileHash: string): Promise<Uint8Array>;
  /** The file as the gateway has it, asked for without the proxy. */
  stored(fileHash: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What must never be seen where it does not belong: the first token, and the one after a refusal. */
export const TOKENS: readonly [string, string] = ['token-of-the-store-1', 'token-of-the-store-2'];
export const STALL_MS = 5_000;
/** Where faults do not move the clock themselves, it steps while nothing moves. */
const STEP_MS = 1_000;
const IDLE_TURNS = 2;
/**
 * The same while a request is on its way: a gateway that computes, and a handshake, move nothing for a
 * while, and no time is to pass for that.
 */
const BUSY_TURNS = 50;
/** What was sent has arrived by then, as a rule; where not, the fault is a little harder. */
const PASS_TURNS = 3;
/** Then nothing may count as silent, however busy the machine is. */
const NEVER_MS = 2 ** 31 - 1;

/** A gateway in memory, which all worlds of a file share: its buffers are what takes time to make. */
export function createSharedGateway({ kernels: { hasher, codec } }: WorkerPool): Gateway {
  return createGateway({
    store: createMemoryStore(),
    hasher,
    codec,
    tokens: TOKENS.map((token) => ({ token, scope: 'write' as const })),
  });
}

export async function createWorld(options: {
  readonly pool: WorkerPool;
  readonly gateway: Gateway;
  readonly at: Kind;
  readonly fault: Fault;
  readonly times?: number;
  readonly secure?: boolean;
  /** Somebody is asked to wait: time passes while nothing moves. */
  readonly waits?: boolean;
  /** See `Act`. */
  readonly shorterHash?: string;
  readonly cas?: Partial<CasClientOptions>;
}): Promise<World> {
  const {
    pool,
    gateway,
    at,
    fault,
    times = 1,
    secure = false,
    waits = false,
    shorterHash = '',
  } = options;
  const { hasher } = pool.kernels;
  const clock = createTestClock();
  const begun = clock.now();
  const retries: RetryEvent[] = [];
  let refreshes = 0;
  /** What had moved when a pause was announced. */
  let announced = -1;
  const pass = async (ms: number): Promise<void> => {
    await turns(PASS_TURNS);
    clock.advance(ms);
  };
  const proxy = await startProxy({ gateway, secure, at, times, fault, pass, shorterHash });
  const cas = createCasClient({
    endpoint: proxy.url,
    token: {
      get: async () => TOKENS[refreshes > 0 ? 1 : 0],
      refresh: async () => {
        refreshes++;
        return TOKENS[1];
      },
    },
    headers: { 'x-mine': 'private' },
    clock,
    random: () => 0,
    onRetry: (event) => {
      retries.push(event);
      announced = proxy.activity;
    },
    grants: 'never',
    stallTimeoutMs: waits ? NEVER_MS : STALL_MS,
    dedupTimeoutMs: waits ? NEVER_MS : STALL_MS,
    responseTimeoutMs: waits ? NEVER_MS : 4 * STALL_MS,
    ...(waits ? { connectTimeoutMs: NEVER_MS } : {}),
    ...(secure ? { ca: TEST_CERTIFICATE } : {}),
    ...options.cas,
  });
  const direct = createCasClient({
    endpoint: 'http://gateway.invalid',
    token: TOKENS[0],
    exchange: gateway.exchange,
  });
  /** The work, and the clock that has to move for it. */
  const driven = async <T>(work: Promise<T>): Promise<T> => {
    let over = !waits;
    const end = (): void => {
      over = true;
    };
    work.then(end, end);
    while (!over) {
      const before = proxy.activity + retries.length;
      await turns(proxy.activity === announced ? IDLE_TURNS : BUSY_TURNS);
      if (!over && before === proxy.activity + retries.length) clock.advance(STEP_MS);
    }
    return work;
  };
  const read = async (from: CasClient, fileHash: string): Promise<Uint8Array> => {
    const sink = memorySink();
    await downloadVerified(
      {
        cas: from,
        pool,
        hasher,
        clock: SYSTEM_CLOCK,
        fileHash: MerkleHash.parse(fileHash),
        sink,
      },
      'auto',
    );
    return sink.bytes();
  };
  const write = async (to: CasClient, ...files: Uint8Array[]): Promise<string> => {
    const session = createUploadSession({
      cas: to,
      pool,
      hasher,
      clock: SYSTEM_CLOCK,
      options: {},
    });
    const adding = files.map((bytes) => session.add(new MemorySource(bytes)));
    for (const each of adding) each.catch(() => {});
    await session.finish();
    const stored = await Promise.all(adding);
    return stored.at(-1)?.fileHash.toString() ?? '';
  };
  return {
    cas,
    clock,
    proxy,
    retries,
    get refreshes() {
      return refreshes;
    },
    get passedMs() {
      return clock.now() - begun;
    },
    seed: (...files) => write(direct, ...files),
    upload: (bytes) => driven(write(cas, bytes)),
    download: async (fileHash) => driven(read(cas, fileHash)),
    stored: (fileHash) => read(direct, fileHash),
    async close() {
      await cas.close();
      await direct.close();
      await proxy.close();
    },
  };
}
