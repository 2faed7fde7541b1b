import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { createHub, type Hub } from 'orbweaver/hub';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** A Hub behind something that changes its listings. */

type Entry = Readonly<Record<string, unknown>> & { readonly path: string };

const repo = 'team/wrong';
let top: string;
let gateway: RunningGateway;
let between: Server;
let hub: Hub;
let change: (entries: readonly Entry[]) => readonly Entry[] = (entries) => entries;
let requests: string[] = [];

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-wrong-listing-'));
  gateway = await startGateway({ data: join(top, 'store'), port: 0, workers: 0 });
  between = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const path = request.url ?? '';
    requests.push(path);
    const answer = await fetch(gateway.url + path, {
      method: request.method ?? 'GET',
      headers: {
        authorization: request.headers.authorization ?? '',
        'content-type': 'application/json',
      },
      ...(body.length === 0 ? {} : { body }),
    });
    const text = Buffer.from(await answer.arrayBuffer());
    const isListing = path.includes('/tree/');
    response.writeHead(answer.status, { etag: answer.headers.get('etag') ?? '' });
    response.end(isListing ? JSON.stringify(change(JSON.parse(text.toString()))) : text);
  });
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
  const direct = createHub({ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 });
  await direct.createRepo({ repo });
  await direct.uploadFiles(
    ['one', 'two', 'six'].map((word) => ({ path: word, content: Buffer.from(word) })),
    { repo },
  );
  await direct.close();
  const hubUrl = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  hub = createHub({ hubUrl, accessToken: gateway.writeToken, workers: 0 });
});
afterAll(async () => {
  await hub?.close();
  between?.closeAllConnections();
  between?.close();
  await gateway?.close();
  await rm(top, { recursive: true, force: true });
});

it('small files come by the batch', async () => {
  requests = [];
  const { files, failed } = await hub.downloadFolder({ repo, to: join(top, 'right') });
  expect([files.length, failed]).toEqual([4, []]);
  expect(requests.filter((path) => path.includes('/resolve/'))).toEqual([]);
});

it('a small file that is not what git calls it is not taken from the store', async () => {
  change = (entries) => {
    const other = entries.find(({ path }) => path === 'one');
    return entries.map((entry) =>
      entry.path === 'two' ? { ...entry, storeHash: other?.['storeHash'] } : entry,
    );
  };
  requests = [];
  const to = join(top, 'wrong');
  const { failed } = await hub.downloadFolder({ repo, to });
  expect(failed).toEqual([]);
  expect(requests.filter((path) => path.includes('/resolve/'))).toHaveLength(1);
  for (const word of ['one', 'two', 'six'])
    expect(String(await readFile(join(to, word)))).toBe(word);
});
