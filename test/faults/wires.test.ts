import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CasClientOptions } from '../../src/transport/index.js';
import { TEST_CERTIFICATE } from '../transport/tls-fixture.js';
import { createStage, type Stage } from './run-row.js';
import { type Outcome, type Row, TABLE } from './table.js';

/** The table of faults over the other wires: through a proxy, a dispatcher of undici, and `fetch`. */

interface WireOfFaults {
  readonly name: string;
  readonly options: () => Partial<CasClientOptions>;
}

/** How often a wire was used, by whatever stands for it. */
let uses = 0;

/** Hands connections on, as proxies of companies do, and counts them. */
const proxy = createServer();
proxy.on('connect', ({ url = '' }, socket: Socket) => {
  uses++;
  const target = connect(Number(url.split(':').at(-1)), '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.pipe(target).pipe(socket);
  });
  for (const [one, other] of [
    [socket, target],
    [target, socket],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
});
const agent = new Agent({ connect: { ca: TEST_CERTIFICATE }, pipelining: 1 });
let stage: Stage;
beforeAll(async () => {
  stage = await createStage();
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await stage.close();
  await agent.destroy();
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});

const WIRES: readonly WireOfFaults[] = [
  {
    name: 'a proxy',
    options: () => ({ proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }),
  },
  {
    name: 'a dispatcher',
    options: () => ({
      dispatcher: {
        request(...all: Parameters<Agent['request']>) {
          uses++;
          return agent.request(...all);
        },
      } as never,
    }),
  },
  {
    name: 'fetch',
    options: () => ({
      fetch: ((url: URL, init: object) => {
        uses++;
        return undiciFetch(url, { ...init, dispatcher: agent });
      }) as never,
    }),
  },
];

const nameOf = ({ at, what }: Row): string => `${at}: ${what}`;

describe.each(WIRES)('over $name', ({ options }) => {
  const run = async (row: Row, expected: Outcome, times: number): Promise<void> => {
    uses = 0;
    await stage.run(row, { expected, times, cas: options() });
    expect(uses).toBeGreaterThan(0);
  };
  it.each(TABLE.map((row) => [nameOf(row), row] as const))('%s', async (_, row) => {
    await run(row, row.once, 1);
  });
  const lasting = TABLE.filter(({ always }) => always !== null);
  it.each(lasting.map((row) => [nameOf(row), row] as const))('%s, without end', async (_, row) => {
    await run(row, row.always as Outcome, Number.POSITIVE_INFINITY);
  });
});
