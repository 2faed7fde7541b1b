import { writeFile } from 'node:fs/promises';
import { createSelfSigned } from './certificate.js';
import { createHubServer } from './hub-server.js';
import { createLinkProxy } from './link-proxy.js';
import type { BenchServer } from './options.js';
import { createSinkServer } from './sink-server.js';
import type { Sample } from './types.js';
import { createWireMeter } from './wire-meter.js';
import { ownUsage, type ServerTarget } from './work.js';

/**
 * The servers that contenders talk to, each with the Hub's endpoints in front of it. They run in the
 * process of the harness, which does nothing else while a contender runs in one of its own.
 */

/** What a server has seen since the last reset; all 0 for one elsewhere. */
export type ServerCounts = Omit<Sample, 'wallMs' | 'cpuMs' | 'peakBytes'>;

export interface Server {
  readonly target: ServerTarget;
  counts(): ServerCounts;
  reset(): void;
  /** Safe to call twice. */
  close(): Promise<void>;
}

/** What lies between a gateway and its clients. */
export interface BenchLink {
  /** Time of one direction. @default 0 */
  readonly oneWayMs?: number | undefined;
  /** With a certificate that only this run knows. @default plain */
  readonly tls?: boolean | undefined;
}

const TOKEN = 'bench';
export const NOTHING_SEEN: ServerCounts = {
  wireUpBytes: 0,
  wireDownBytes: 0,
  requests: 0,
  storedBytes: 0,
  serverCpuMs: 0,
};

/** A sink. `keepDir` as for {@link createSinkServer}. */
export async function openSink(keepDir?: string): Promise<Server> {
  const { url, counts, reset, close } = await createSinkServer({ keepDir });
  const storedBytes = (): number => counts().xorbBytes + counts().shardBytes;
  const target = { endpoint: url, token: TOKEN, caPath: null };
  return withHub(target, { meterUrl: url, storedBytes, reset, close });
}

/** A gateway over a folder. What it stores is seen in that. */
export async function openGateway(data: string, link: BenchLink = {}): Promise<Server> {
  // Loaded only here: a sink needs none of it.
  const { startGateway } = await import('../gateway.js');
  const { oneWayMs = 0, tls = false } = link;
  let port = 0;
  const certificate = tls ? await createSelfSigned() : undefined;
  const proxy =
    tls || oneWayMs > 0
      ? await createLinkProxy({ target: () => port, oneWayMs, tls: certificate })
      : undefined;
  const publicUrl = proxy && `${tls ? 'https' : 'http'}://127.0.0.1:${proxy.port}`;
  const opening = startGateway({ data, port: 0, token: TOKEN, publicUrl });
  const gateway = await opening.catch(async (error: unknown) => {
    await proxy?.close();
    throw error;
  });
  port = Number(new URL(gateway.url).port);
  const caPath = certificate === undefined ? null : `${data}.pem`;
  if (certificate !== undefined) await writeFile(`${data}.pem`, certificate.cert);
  const target = { endpoint: publicUrl ?? gateway.url, token: TOKEN, caPath };
  const close = async (): Promise<void> => {
    await proxy?.close();
    await gateway.close();
  };
  return withHub(target, { meterUrl: gateway.url, close });
}

/** The user's own server. Nothing lies between a client and it, so what it does is not seen. */
export function openRemote({ endpoint, token, caPath }: BenchServer): Promise<Server> {
  return withHub({ endpoint, token, caPath: caPath ?? null }, {});
}

async function withHub(
  target: Omit<ServerTarget, 'hubUrl'>,
  store: {
    readonly meterUrl?: string;
    readonly storedBytes?: () => number;
    readonly reset?: () => void;
    readonly close?: () => Promise<void>;
  },
): Promise<Server> {
  const hub = await createHubServer({ casUrl: target.endpoint, token: target.token });
  const { meterUrl } = store;
  const ports = [hub.url, meterUrl ?? hub.url].map((url) => Number(new URL(url).port));
  const meter = createWireMeter(ports);
  const cpuMs = (): number => ownUsage().cpuMs;
  let cpuBase = cpuMs();
  return {
    target: { ...target, hubUrl: hub.url },
    counts: () =>
      meterUrl === undefined
        ? NOTHING_SEEN
        : {
            ...meter.counts(),
            storedBytes: store.storedBytes?.() ?? 0,
            serverCpuMs: cpuMs() - cpuBase,
          },
    reset: () => {
      meter.reset();
      store.reset?.();
      cpuBase = cpuMs();
    },
    close: async () => {
      meter.stop();
      await hub.close();
      await store.close?.();
    },
  };
}
