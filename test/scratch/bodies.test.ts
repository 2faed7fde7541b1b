import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createDiskStore, createGateway, createNodeServer } from '../../src/gateway/index.js';
import { createComputePool } from '../../src/workers/index.js';
import { encodeFooter } from '../../src/xorb/index.js';
import { buildXorb, codec, hasher, randomChunks, WRITE_TOKEN } from '../gateway/support/rig.js';

const MIB = 1024 * 1024;
let folder = ''; let store: any; let pool: any; let gateway: any; let server: any; let tls: any;
beforeAll(async () => {
  folder = await mkdtemp('/dev/shm/attack-');
  store = await createDiskStore(folder, { sync: false });
  pool = await createComputePool({ threads: 2, maxMemory: 24 * MIB });
  gateway = createGateway({ store, hasher, codec, verifier: { receive: (b) => pool.receiveXorb(b) }, tokens: [{ token: WRITE_TOKEN, scope: 'write' }] });
  server = await createNodeServer(gateway, { port: 0 });
  execFileSync('openssl', ['req','-x509','-newkey','rsa:2048','-nodes','-keyout',join(folder,'k.pem'),'-out',join(folder,'c.pem'),'-days','2','-subj','/CN=localhost'], {stdio:'ignore'});
  tls = await createNodeServer(gateway, { port: 0, tls: { cert: readFileSync(join(folder,'c.pem'),'utf8'), key: readFileSync(join(folder,'k.pem'),'utf8') } } as any);
}, 60000);
afterAll(async () => { await server.close(); await tls.close(); await gateway.close(); await store.close?.(); await pool.close(); await rm(folder, { recursive: true, force: true }); });

const open = (secure = false): any => secure ? tlsConnect({ port: tls.port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(server.port, '127.0.0.1');
function talk(s: any): { text: () => string; closed: Promise<void> } {
  const got: Buffer[] = []; s.on('data', (d: Buffer) => got.push(d)); s.on('error', () => {});
  return { text: () => Buffer.concat(got).toString('latin1'), closed: new Promise((r) => s.once('close', () => r())) };
}
const head = (hash: string, h: string) => `POST /v1/xorbs/default/${hash} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${WRITE_TOKEN}\r\n${h}\r\n`;
const statuses = (t: string) => [...t.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]);
let seed = 100;
const make = (n = 20, len = 90_000) => buildXorb(randomChunks(seed++, Array.from({ length: n }, (_, i) => len + 37 * i)));
async function stored(x: any) { const s = await store.read(`xorbs/${x.hash}`); return s !== null && Buffer.compare(s, Buffer.concat([x.bytes, encodeFooter(x)])) === 0; }
async function clean() { await vi.waitFor(async () => { expect(pool.freeSlabs).toBe(pool.slabCount); expect(await readdir(join(folder, 'tmp'))).toEqual([]); }, 5000); }
const until = (f: () => boolean) => vi.waitFor(() => { if (!f()) throw new Error('not yet'); }, { timeout: 8000, interval: 10 });

for (const secure of [false, true]) {
  it(`pipelined uploads, chunked and with lengths, in pieces, tls ${secure}`, async () => {
    const a = make(), b = make(), c = make(3, 400);
    const s = open(secure); const t = talk(s);
    const chunkedOf = (x: Uint8Array, n: number) => { const out: Buffer[] = []; for (let i = 0; i < x.length; i += n) { const p = x.subarray(i, i + n); out.push(Buffer.from(`${p.length.toString(16)}\r\n`), Buffer.from(p), Buffer.from('\r\n')); } out.push(Buffer.from('0\r\n\r\n')); return Buffer.concat(out); };
    const all = Buffer.concat([Buffer.from(head(a.hash.toString(), `Content-Length: ${a.bytes.length}\r\n`)), a.bytes, Buffer.from(head(b.hash.toString(), 'Transfer-Encoding: chunked\r\n')), chunkedOf(b.bytes, 7777), Buffer.from(head(c.hash.toString(), 'Transfer-Encoding: chunked\r\n')), chunkedOf(c.bytes, 13)]);
    for (let i = 0; i < all.length; i += 65_521) { s.write(all.subarray(i, i + 65_521)); if (i % 5 === 0) await new Promise((r) => setImmediate(r)); }
    await until(() => statuses(t.text()).length === 3);
    expect(statuses(t.text())).toEqual(['200', '200', '200']);
    for (const x of [a, b, c]) expect(await stored(x)).toBe(true);
    s.destroy(); await clean();
  }, 30000);
  it(`expect continue; wrong lengths; half closed; aborted; slow, tls ${secure}`, async () => {
    const a = make(); let s = open(secure); let t = talk(s);
    s.write(head(a.hash.toString(), `Expect: 100-continue\r\nContent-Length: ${a.bytes.length}\r\n`));
    await until(() => statuses(t.text()).includes('100'));
    s.write(a.bytes); await until(() => statuses(t.text()).length === 2);
    expect(statuses(t.text())[1]).toBe('200'); expect(await stored(a)).toBe(true); s.destroy();
    // body longer than length: rest is garbage as next request
    const b = make(); s = open(secure); t = talk(s);
    s.write(Buffer.concat([Buffer.from(head(b.hash.toString(), `Content-Length: ${b.bytes.length}\r\n`)), b.bytes, Buffer.from('garbage that follows\r\n\r\n')]));
    await t.closed; console.log('longer', statuses(t.text()), await stored(b));
    // shorter & half closed
    const c = make(); s = open(secure); t = talk(s);
    s.write(Buffer.concat([Buffer.from(head(c.hash.toString(), `Content-Length: ${c.bytes.length + 5}\r\n`)), c.bytes])); s.end();
    await t.closed; console.log('half-closed short', statuses(t.text()), await stored(c)); expect(await stored(c)).toBe(false); await clean();
    // complete & half closed
    const d = make(); s = open(secure); t = talk(s);
    s.end(Buffer.concat([Buffer.from(head(d.hash.toString(), `Content-Length: ${d.bytes.length}\r\n`)), d.bytes]));
    await t.closed; console.log('half-closed whole', statuses(t.text()), await stored(d));
    // aborted mid fill, 20 at once at different places while a good one goes on
    const e = make(40, 120_000); const leaving = [];
    for (let i = 0; i < 20; i++) { const q = open(secure); talk(q); q.write(head('ab'.repeat(32), `Content-Length: ${e.bytes.length}\r\n`)); q.write(e.bytes.subarray(0, 10_000 + i * 211_111)); leaving.push(q); }
    const good = make(30, 110_000); s = open(secure); t = talk(s);
    s.write(head(good.hash.toString(), `Content-Length: ${good.bytes.length}\r\n`));
    for (let i = 0; i < good.bytes.length; i += 50_001) { s.write(good.bytes.subarray(i, i + 50_001)); leaving[(i / 50_001) % 20].destroy(); await new Promise((r) => setTimeout(r, 3)); }
    for (const q of leaving) q.destroy();
    await until(() => statuses(t.text()).length === 1); expect(statuses(t.text())).toEqual(['200']); expect(await stored(good)).toBe(true);
    s.destroy(); await clean();
    // by single bytes
    const f = make(2, 300); s = open(secure); t = talk(s); s.setNoDelay(true);
    s.write(head(f.hash.toString(), 'Transfer-Encoding: chunked\r\n'));
    for (const x of f.bytes) { s.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.from([x]), Buffer.from('\r\n')])); await new Promise((r) => setImmediate(r)); }
    s.write('0\r\n\r\n'); await until(() => statuses(t.text()).length === 1); expect(await stored(f)).toBe(true); s.destroy();
    // chunked, broken off and bad framing
    const g = make(); s = open(secure); t = talk(s);
    s.write(head(g.hash.toString(), 'Transfer-Encoding: chunked\r\n')); s.write(`${g.bytes.length.toString(16)}\r\n`); s.write(g.bytes); s.write('XX\r\n');
    await t.closed; console.log('bad chunk', statuses(t.text()), await stored(g)); expect(await stored(g)).toBe(false); await clean();
  }, 60000);
}
it('xorbs of one byte, 8192 chunks, 8193 chunks, near 64 MiB', async () => {
  const put = (x: any) => fetch(`${server.url}/v1/xorbs/default/${x.hash}`, { method: 'POST', headers: { authorization: `Bearer ${WRITE_TOKEN}` }, body: x.bytes });
  const one = buildXorb([new Uint8Array([7])]); expect((await put(one)).status).toBe(200); expect(await stored(one)).toBe(true);
  const many = buildXorb(randomChunks(9, Array.from({ length: 8192 }, (_, i) => 1 + (i % 90)))); expect((await put(many)).status).toBe(200); expect(await stored(many)).toBe(true);
  const more = { hash: 'ab'.repeat(32), bytes: Buffer.concat([many.bytes, one.bytes]) }; const r = await put(more); console.log('8193', r.status, await r.text());
  const zero = buildXorb([new Uint8Array(200_00)]); expect((await put(zero)).status).toBe(200);
  const big = buildXorb(randomChunks(10, Array.from({ length: 511 }, () => 131072))); const rb = await put(big); console.log('64MiB', big.bytes.length, rb.status, await stored(big));
  await clean();
}, 120000);

it('hostile records', async () => {
  const { receiveXorbInPool } = await import('../../src/workers/receive-xorb.js');
  const put = (bytes: any, hash = 'ab'.repeat(32)) => fetch(`${server.url}/v1/xorbs/default/${hash}`, { method: 'POST', headers: { authorization: `Bearer ${WRITE_TOKEN}` }, body: bytes });
  const rec = (version: number, payload: number, scheme: number, raw: number, body: Uint8Array) => Buffer.concat([Buffer.from([version, payload & 255, (payload >> 8) & 255, (payload >> 16) & 255, scheme, raw & 255, (raw >> 8) & 255, (raw >> 16) & 255]), body]);
  const frame = (...blocks: Buffer[]) => Buffer.concat([Buffer.from('04224d186040' + '82', 'hex'), ...blocks, Buffer.alloc(4)]);
  const raw = (b: Buffer) => { const h = Buffer.alloc(4); h.writeUInt32LE((b.length | 0x80000000) >>> 0); return Buffer.concat([h, b]); };
  const comp = (b: Buffer) => { const h = Buffer.alloc(4); h.writeUInt32LE(b.length); return Buffer.concat([h, b]); };
  const frames: [string, Buffer, number][] = [
    ['good raw', frame(raw(Buffer.alloc(100, 1))), 100],
    ['raw longer than chunk', frame(raw(Buffer.alloc(200, 1))), 100],
    ['raw shorter', frame(raw(Buffer.alloc(50, 1))), 100],
    ['match before begin', frame(comp(Buffer.from([0x10, 0x41, 0xff, 0xff, 0x50, 1, 2, 3, 4, 5]))), 20],
    ['match offset 0', frame(comp(Buffer.from([0x1f, 0x41, 0, 0, 10, 0x50, 1, 2, 3, 4, 5]))), 40],
    ['huge match', frame(comp(Buffer.concat([Buffer.from([0x1f, 0x41, 1, 0]), Buffer.alloc(2000, 255), Buffer.from([0, 0x50, 1, 2, 3, 4, 5])]))), 131072],
    ['huge literal', frame(comp(Buffer.concat([Buffer.from([0xf0]), Buffer.alloc(900, 255), Buffer.from([3, 1, 2])]))), 131072],
    ['second block refers to first', frame(comp(Buffer.from([0x80,1,2,3,4,5,6,7,8])), comp(Buffer.from([0x10, 9, 8, 0, 0x50, 1,2,3,4,5]))), 18],
    ['no end mark', frame(raw(Buffer.alloc(100, 1))).subarray(0, -4), 100],
    ['empty frame', frame(), 0],
    ['many empty raw blocks', frame(...Array.from({ length: 3000 }, () => raw(Buffer.alloc(0))), raw(Buffer.alloc(10))), 10],
    ['checksum wrong', (() => { const f = frame(raw(Buffer.alloc(100, 1))); f[6] ^= 1; return f; })(), 100],
  ];
  for (const [what, f, n] of frames) for (const scheme of [1, 2]) {
    const r = await put(rec(0, f.length, scheme, n, f)); const t = await r.text();
    console.log(scheme, what, r.status, t.slice(0, 150)); if (r.status >= 500) throw new Error(what);
  }
  for (const [what, b] of [['zero length', rec(0, 0, 0, 0, Buffer.alloc(0))], ['raw other length', rec(0, 5, 0, 6, Buffer.alloc(5))], ['scheme 3', rec(0, 5, 3, 5, Buffer.alloc(5))], ['len max', rec(0, 0xffffff, 0, 0xffffff, Buffer.alloc(500))], ['version 255', rec(255, 5, 0, 5, Buffer.alloc(5))], ['header cut', Buffer.alloc(7)], ['empty', Buffer.alloc(0)], ['131073', rec(0, 131073, 0, 131073, Buffer.alloc(131073))]] as const) {
    const r = await put(b); console.log(what, r.status, (await r.text()).slice(0, 120)); expect(r.status).toBe(400);
  }
  // use after free of the scratch: a good one right after hostile ones, in the same call
  await clean();
}, 60000);
