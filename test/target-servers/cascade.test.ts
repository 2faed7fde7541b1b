import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CascadeServer, startCascadeServer } from '../../src/target-servers/index.js';
import { patternBytes } from '../digests/vectors.js';

/** The server itself, over real connections: what it does not do, no client is tested against. */

const LARGE = patternBytes(150_000);
let server: CascadeServer;
beforeEach(async () => {
  server = await startCascadeServer();
});
afterEach(() => server.close());

const api = (path: string): string => `${server.url}/openapi/cascade${path}`;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: each endpoint has a shape of its own
  readonly body: any;
}

async function call(path: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(api(path), init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function upload(bytes: Uint8Array, name = 'a.bin', path = '/v2/upload'): Promise<Answer> {
  const form = new FormData();
  form.set('ignored', 'before');
  form.set('filename', 'ignored.bin');
  form.append('file', new Blob([bytes as Uint8Array<ArrayBuffer>]), name);
  form.append('file', new Blob(['a second one']), 'second.bin');
  return call(path, { method: 'POST', body: form });
}

const start = (fileId: string, burns: readonly string[], more: object = {}): Promise<Answer> =>
  call(`/start/${fileId}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.passphrase}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ burn_txids: burns, app_pastelid: server.pastelId, ...more }),
  });

const details = async (fileId: string): Promise<Answer> => call(`/registration_details/${fileId}`);

async function started(bytes: Uint8Array = LARGE): Promise<{ fileId: string; tasks: string[] }> {
  const { body } = await upload(bytes);
  const burns = body.required_preburn_transaction_amounts.map((amount: number) =>
    server.burn(amount),
  );
  const { body: answer } = await start(body.file_id, burns);
  return { fileId: body.file_id, tasks: answer.task_id.split(',') };
}

describe('the Cascade server', () => {
  it('takes the first part called "file", reduces its name and refuses one without a name', async () => {
    const { status, body } = await upload(patternBytes(10), '../up/a.bin');
    expect(status).toBe(201);
    expect(body.file_id).toMatch(/^\w{8}$/);
    expect(server.file(body.file_id)?.name).toBe('a.bin');
    expect(await server.read(body.file_id)).toEqual(patternBytes(10));
    const form = new FormData();
    form.set('file', 'a text, no file');
    const refused = await call('/v2/upload', { method: 'POST', body: form });
    expect(refused).toMatchObject({ status: 400, body: { name: 'decode_payload' } });
  });

  it('has one amount per volume, a fifth of the fee', async () => {
    const { body } = await upload(LARGE);
    const amounts: number[] = body.required_preburn_transaction_amounts;
    expect(amounts).toHaveLength(3);
    const sum = amounts.reduce((total, amount) => total + amount, 0);
    expect(sum).toBeCloseTo(body.total_estimated_fee / 5);
    expect(new Set(amounts).size).toBe(2);
  });

  it('answers a GET of details with 201, of an unknown file with an empty list', async () => {
    const { fileId } = await started();
    const { status, body } = await details(fileId);
    expect(status).toBe(201);
    expect(body.files[0]).toMatchObject({ file_index: '0', base_file_id: fileId });
    expect(body.files[0].upload_timestamp).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC$/,
    );
    expect(body.files[0].registration_attempts[0].finished_at).toBe(
      '0001-01-01 00:00:00 +0000 UTC',
    );
    expect(await details('ABCDEFGH')).toMatchObject({ status: 201, body: { files: [] } });
  });

  it('pairs burn transactions by amount, whatever their order', async () => {
    const { body } = await upload(LARGE);
    const amounts: number[] = body.required_preburn_transaction_amounts;
    const burns = amounts.map((amount) => server.burn(amount)).reverse();
    expect((await start(body.file_id, burns)).status).toBe(201);
    const { files } = (await details(body.file_id)).body;
    for (const file of files) {
      expect(burns.indexOf(file.burn_txn_id)).toBeGreaterThanOrEqual(0);
    }
  });

  it('refuses duplicates, wrong counts, low amounts, spent burns and a second start', async () => {
    const { body } = await upload(LARGE);
    const { file_id: id, required_preburn_transaction_amounts: amounts } = body;
    const good: string[] = amounts.map((amount: number) => server.burn(amount));
    const low = server.burn(0.01);
    const wrong = { status: 400, body: { name: 'BadRequest' } };
    expect(await start(id, [good[0], good[0], good[1]] as string[])).toMatchObject(wrong);
    expect(await start(id, good.slice(1))).toMatchObject(wrong);
    expect(await start(id, [low, good[1], good[2]] as string[])).toMatchObject(wrong);
    expect(await start(id, ['f'.repeat(64), good[1], good[2]] as string[])).toMatchObject(wrong);
    expect(await start(id, ['short'])).toMatchObject({ body: { name: 'invalid_length' } });
    expect(await start(id, good, { app_pastelid: 'x'.repeat(86) })).toMatchObject({ status: 401 });
    expect(await start('ABCDEFGH', good)).toMatchObject({ status: 500 });
    expect(server.counts.starts).toBe(0);
    const right = await start(id, good);
    expect(right).toMatchObject({ status: 201 });
    expect(right.body.task_id.split(',')).toHaveLength(3);
    expect(await start(id, good)).toMatchObject({
      status: 500,
      headers: expect.anything(),
      body: { message: 'task registration is already in progress' },
    });
    const other = await upload(LARGE, 'b.bin');
    expect(await start(other.body.file_id, good)).toMatchObject(wrong);
    expect(server.counts).toMatchObject({ starts: 1, payments: 4 });
  });

  it('moves by blocks only: burns confirmed, registered, concluded, joined', async () => {
    const { fileId } = await started();
    const stage = async (): Promise<unknown[]> => {
      const [first] = (await details(fileId)).body.files;
      return [first.reg_txid !== '', first.is_concluded, first.cascade_metadata_ticket_id !== ''];
    };
    server.advance(2);
    expect(await stage()).toEqual([false, false, false]);
    server.advance();
    expect(await stage()).toEqual([true, false, false]);
    server.advance();
    expect(await stage()).toEqual([true, true, false]);
    server.advance();
    expect(await stage()).toEqual([true, true, true]);
  });

  it('tells a WebSocket every status and closes it normally after the last', async () => {
    const { tasks } = await started(patternBytes(10));
    const socket = new WebSocket(`${api(`/start/${tasks[0]}/state`).replace('http', 'ws')}`);
    const seen: string[] = [];
    const closed = new Promise<number>((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve(code));
    });
    await new Promise<void>((resolve) => {
      socket.addEventListener('message', ({ data }) => {
        seen.push(JSON.parse(String(data)).status);
        resolve();
      });
    });
    server.advance(5);
    expect(await closed).toBe(1000);
    expect(seen[0]).toBe('Task Started');
    expect(seen.at(-1)).toBe('Task Completed');
    const history = await call(`/${tasks[0]}/history`);
    expect(history.body.map(({ status }: { status: string }) => status)).toEqual(seen);
  });

  it('forgets tasks, sockets and downloads when it restarts, and keeps details', async () => {
    const { fileId, tasks } = await started();
    expect((await call(`/${tasks[0]}/history`)).status).toBe(200);
    server.restart();
    expect((await call(`/${tasks[0]}/history`)).status).toBe(404);
    expect((await details(fileId)).body.files).toHaveLength(3);
    server.advance(6);
    expect((await details(fileId)).body.files[0].is_concluded).toBe(true);
  });

  it('restores with a capital I, and its worker makes public files private', async () => {
    const { body } = await upload(patternBytes(10));
    server.faults.failRegistration = { volume: 0, times: 1 };
    const burns = [server.burn(body.required_preburn_transaction_amounts[0])];
    await start(body.file_id, burns, { make_publicly_accessible: true });
    expect(server.file(body.file_id)?.public).toBe(true);
    server.advance(3);
    server.runRestoreWorker();
    expect(server.file(body.file_id)?.public).toBe(false);
    const restore = (field: string): Promise<Answer> =>
      call(`/restore/${body.file_id}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.passphrase}` },
        body: JSON.stringify({ [field]: server.pastelId }),
      });
    expect(await restore('app_pastelid')).toMatchObject({ status: 400 });
    expect(await restore('app_pastelId')).toMatchObject({
      status: 201,
      body: { total_volumes: 1, volumes_registration_in_progress: 1 },
    });
  });

  it('serves a joined file with its name, and ranges of it', async () => {
    const { fileId } = await started();
    server.advance(6);
    const [{ cascade_metadata_ticket_id: txid }] = (await details(fileId)).body.files;
    const headers = { authorization: `Bearer ${server.passphrase}` };
    const query = `pid=${server.pastelId}&txid=${txid}`;
    expect((await call(`/download?${query}`, { headers })).status).toBe(400);
    expect((await call(`/v2/download?${query}`)).status).toBe(401);
    const { body } = await call(`/v2/download?${query}`, { headers });
    expect(body.file_id).toMatch(/^\d{6}$/);
    const file = `${server.url}/files/${body.file_id}`;
    expect((await fetch(file)).status).toBe(404);
    server.advance(5);
    const whole = await fetch(file);
    expect(whole.headers.get('content-disposition')).toContain('a.bin');
    expect(new Uint8Array(await whole.arrayBuffer())).toEqual(LARGE);
    const part = await fetch(file, { headers: { range: 'bytes=100000-' } });
    expect(part.status).toBe(206);
    expect(new Uint8Array(await part.arrayBuffer())).toEqual(LARGE.subarray(100_000));
  });

  it('cannot give back volumes of a file whose name holds .7z', async () => {
    const { body } = await upload(LARGE, 'backup.7z');
    const burns = body.required_preburn_transaction_amounts.map((amount: number) =>
      server.burn(amount),
    );
    await start(body.file_id, burns);
    server.advance(6);
    const [file] = (await details(body.file_id)).body.files;
    expect(file.name_of_original_big_file_with_ext).toBe('backup');
    const query = `pid=${server.pastelId}&txid=${file.cascade_metadata_ticket_id}`;
    const headers = { authorization: `Bearer ${server.passphrase}` };
    const { body: asked } = await call(`/v2/download?${query}`, { headers });
    server.advance(5);
    expect((await call(`/downloads/${asked.file_id}/status`)).status).toBe(500);
    expect((await fetch(`${server.url}/files/${asked.file_id}`)).status).toBe(404);
  });

  it('has a wallet that pays as often as it is asked', async () => {
    const burn = (): Promise<Response> =>
      fetch(`${server.url}/wallet/burn`, {
        method: 'POST',
        body: JSON.stringify({ amount: 5, reference: 'r' }),
      });
    const first = (await (await burn()).json()) as { txid: string };
    await burn();
    const listed = await fetch(`${server.url}/wallet/burns?reference=r`);
    const { txids } = (await listed.json()) as { txids: string[] };
    expect(txids).toHaveLength(2);
    expect(txids[0]).toBe(first.txid);
    expect(server.counts.payments).toBe(2);
  });

  const sevenZip = ['7zz', '7z', '7za'].find((name) => spawnSync(name, ['i']).status === 0);
  const unless = sevenZip === undefined ? ' (skipped: there is no 7-Zip here)' : '';
  it.skipIf(unless !== '')(`makes volumes that 7-Zip opens${unless}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'orbweaver-7z-'));
    try {
      const { body } = await upload(LARGE, 'big file.bin');
      const file = server.file(body.file_id);
      for (const name of readdirSync(file?.folder ?? '')) {
        writeFileSync(join(folder, name), readFileSync(join(file?.folder ?? '', name)));
      }
      execFileSync(sevenZip ?? '', ['x', '-y', `-o${folder}`, join(folder, 'big file.bin.7z.001')]);
      expect(new Uint8Array(readFileSync(join(folder, 'big file.bin')))).toEqual(LARGE);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
