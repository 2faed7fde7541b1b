/**
 * A server in a process of its own, so that its work is not counted as the client's: a sink or a
 * gateway, with the Hub's endpoints in front of it. Talks with its parent over the IPC channel
 * (`server-process.ts`); a parent that went away ends it.
 */
import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { createHubServer } from './hub-server.js';
import { createLinkProxy, type LinkProxy } from './link-proxy.js';
import { ownUsage } from './own-usage.js';
import { createSelfSigned } from './self-signed.js';
import type { LinkSpec, ServerCommand, ServerReply, ServerSpec } from './server-process.js';
import { createSinkServer } from './sink-server.js';
import { createWireMeter } from './wire-meter.js';

/** One store under the harness: where it listens, what it took, how it ends. */
interface Store {
  readonly url: string;
  readonly token: string;
  readonly caPath: string | null;
  readonly takenBytes: () => number;
  readonly reset: () => void;
  readonly close: () => Promise<void>;
}

const TOKEN = 'bench';

async function openStore(spec: ServerSpec): Promise<Store> {
  const nothing = { token: TOKEN, caPath: null, takenBytes: () => 0, reset: () => {} };
  if (spec.kind === 'remote') {
    return { ...nothing, url: spec.endpoint, token: spec.token, close: async () => {} };
  }
  if (spec.kind === 'sink') {
    const sink = await createSinkServer({ keepDir: spec.keepDir });
    const takenBytes = (): number => sink.counts().xorbBytes + sink.counts().shardBytes;
    return { ...nothing, url: sink.url, takenBytes, reset: sink.reset, close: sink.close };
  }
  // Loaded only here: a sink needs none of it.
  const { startGateway } = await import('../gateway.js');
  let port = 0;
  const link = spec.link === undefined ? null : await openLink(spec.link, () => port);
  const gateway = await startGateway({
    data: spec.data,
    port: 0,
    token: TOKEN,
    workers: spec.workers,
    publicUrl: link?.url,
  });
  port = Number(new URL(gateway.url).port);
  return {
    ...nothing,
    url: link?.url ?? gateway.url,
    caPath: spec.link?.certPath ?? null,
    close: async () => {
      await link?.proxy.close();
      await gateway.close();
    },
  };
}

/** The listener in front of a gateway, whose port is known later. */
async function openLink(
  { oneWayMs, certPath }: LinkSpec,
  target: () => number,
): Promise<{ readonly proxy: LinkProxy; readonly url: string }> {
  const tls = certPath === undefined ? undefined : createSelfSigned();
  if (certPath !== undefined && tls !== undefined) await writeFile(certPath, tls.cert);
  const proxy = await createLinkProxy({ target, oneWayMs, tls });
  ignoredPorts.add(proxy.port);
  return { proxy, url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${proxy.port}` };
}

const send = (reply: ServerReply): void => {
  process.send?.(reply);
};
// The parent decides when it ends: an interrupt from the terminal reaches both.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));

const ignoredPorts = new Set<number>();
const meter = createWireMeter(ignoredPorts);
const store = await openStore(JSON.parse(process.argv[2] ?? '{}') as ServerSpec);
const hub = await createHubServer({ casUrl: store.url, token: store.token });
process.on('message', (command: ServerCommand) => {
  if (command === 'reset') {
    meter.reset();
    store.reset();
    send({ type: 'done' });
  } else if (command === 'counts') {
    const { peakBytes } = ownUsage();
    const counts = { ...meter.counts(), takenBytes: store.takenBytes(), peakBytes };
    send({ type: 'counts', counts });
  } else {
    const end = async (): Promise<void> => {
      await hub.close();
      await store.close();
      process.disconnect();
    };
    void end();
  }
});
const { url: endpoint, token, caPath } = store;
send({ type: 'ready', endpoint, hubUrl: hub.url, token, caPath });
