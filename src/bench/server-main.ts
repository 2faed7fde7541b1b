/**
 * A server in a process of its own, so that its work is not counted as the client's: a sink or a
 * gateway, with the Hub's endpoints in front of it. Talks with its parent over the IPC channel
 * (`server-process.ts`); a parent that went away ends it.
 */
import process from 'node:process';
import { createHubServer } from './hub-server.js';
import { ownUsage } from './own-usage.js';
import type { ServerAnswer, ServerCommand, ServerSpec } from './server-process.js';
import { createSinkServer } from './sink-server.js';
import { createWireMeter } from './wire-meter.js';

/** One store under the harness: where it listens, what it took, how it ends. */
interface Store {
  readonly url: string;
  readonly takenBytes: () => number;
  readonly reset: () => void;
  readonly close: () => Promise<void>;
}

const TOKEN = 'bench';

async function openStore(spec: ServerSpec): Promise<Store> {
  if (spec.kind === 'sink') {
    const sink = await createSinkServer({ keepDir: spec.keepDir ?? undefined });
    const takenBytes = (): number => sink.counts().xorbBytes + sink.counts().shardBytes;
    return { url: sink.url, takenBytes, reset: sink.reset, close: sink.close };
  }
  // Loaded only here: a sink needs none of it.
  const { startGateway } = await import('../gateway.js');
  const gateway = await startGateway({
    data: spec.data,
    port: 0,
    token: TOKEN,
    workers: spec.workers ?? undefined,
  });
  return { url: gateway.url, takenBytes: () => 0, reset: () => {}, close: gateway.close };
}

const send = (answer: ServerAnswer): void => {
  process.send?.(answer);
};
// The parent decides when it ends: an interrupt from the terminal reaches both.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(0));

const meter = createWireMeter();
const store = await openStore(JSON.parse(process.argv[2] ?? '{}') as ServerSpec);
const hub = await createHubServer({ casUrl: store.url, token: TOKEN });
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
send({ type: 'ready', endpoint: store.url, hubUrl: hub.url, token: TOKEN });
