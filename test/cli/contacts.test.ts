import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generate } from '../support/generators.js';
import { orbweaver, type Served, serve } from './run-binary.js';

/** No telemetry, no look for updates: what a process talks to is what it was told to talk to. */

const NAME = 'store.example:80';
let folder = '';
let gateway: Served;
/** Hosts that the proxy was asked for; all of them lead to the gateway. */
const asked: string[] = [];
const proxy = createServer((request, response) => {
  asked.push(`plain ${request.url}`);
  response.writeHead(502).end();
}).on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
  asked.push(request.url ?? '');
  socket.on('error', () => undefined);
  const onward = connect(Number(new URL(gateway.url).port), '127.0.0.1', () => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    onward.write(head);
    onward.pipe(socket).pipe(onward);
  }).on('error', () => socket.destroy());
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-contacts-'));
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  gateway = await serve(['--data', join(folder, 'store'), '--port', '0', '--token', 'token'], {
    env: watched('gateway'),
  });
});
afterAll(async () => {
  await gateway.stop();
  proxy.closeAllConnections();
  proxy.close();
  await rm(folder, { recursive: true, force: true });
});

function watched(name: string): Record<string, string> {
  const probe = fileURLToPath(new URL('contact-probe.mjs', import.meta.url));
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(probe).href}`,
    CONTACTS: join(folder, `${name}.contacts`),
  };
}

async function contactsOf(name: string): Promise<string[]> {
  const text = await readFile(join(folder, `${name}.contacts`), 'utf8').catch(() => '');
  return [...new Set(text.split('\n').filter((line) => line !== ''))].sort();
}

it('a process contacts the hosts that it was told of, and no other', async () => {
  const { port } = proxy.address() as AddressInfo;
  const content = Buffer.from(generate({ kind: 'splitmix64', seed: 48, bytes: 3_000_000 }));
  await writeFile(join(folder, 'in.bin'), content);
  const to = ['--endpoint', `http://${NAME}`, '--token', 'token', '--json'];
  const options = { cwd: folder, env: watched('client') };
  const behind = ['--proxy', `http://127.0.0.1:${port}`];
  const up = await orbweaver(['upload', 'in.bin', ...to, ...behind], options);
  const { files } = up.json() as { files: { fileHash: string }[] };
  const hash = files[0]?.fileHash ?? '';
  const down = await orbweaver(['download', hash, '-o', 'out.bin', ...to, ...behind], options);
  expect([up.status, down.status]).toEqual([0, 0]);
  expect((await readFile(join(folder, 'out.bin'))).equals(content)).toBe(true);
  expect([...new Set(asked)]).toEqual([NAME]);
  expect(await contactsOf('client')).toEqual([`connect 127.0.0.1:${port}`]);

  // Without a proxy it is the endpoint that is looked up and connected to.
  const local = gateway.url.replace('127.0.0.1', 'localhost');
  const direct = { cwd: folder, env: watched('direct') };
  const args = ['--endpoint', local, '--token', 'token', '--proxy', 'none'];
  const again = await orbweaver(['download', hash, '-o', 'again.bin', ...args], direct);
  expect(again.status).toBe(0);
  const contacts = await contactsOf('direct');
  expect(contacts).toContain('dns localhost');
  expect(contacts.filter((each) => !each.includes('localhost'))).toEqual([]);

  // What answers all of this asks nobody for anything.
  expect(await contactsOf('gateway')).toEqual([]);
});
