// What an edit of a stored file costs: bytes that are read from the store and sent to it, requests, time.
//
//     npm run build && node bench/edit.mjs [GIB] [FOLDER]
//
// Stores GIB (5) of random bytes in a gateway over FOLDER (a temporary one), inserts 1 MB in the middle,
// appends 1 MB, and reads a proved range of 4 KiB. Figures do not depend on how busy the machine is, but
// for the times. Twice the size of the file is needed on the disk.
import { createCipheriv, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createClient } from 'orbweaver';
import { startGateway } from 'orbweaver/gateway';

const sizeBytes = Number(process.argv[2] ?? 5) * 1024 ** 3;
const folder = await mkdtemp(join(process.argv[3] ?? tmpdir(), 'orbweaver-edit-'));
const file = join(folder, 'file');
const insert = randomBytes(1_000_000);
let requests = new Map();
const gateway = await startGateway({
  data: join(folder, 'store'),
  port: 0,
  sync: false,
  onAccess: ({ method, path, sentBytes }) => {
    const name = `${method} ${path.replace(/[0-9a-f]{64}/g, 'HASH')}`;
    const { count, bytes } = requests.get(name) ?? { count: 0, bytes: 0 };
    requests.set(name, { count: count + 1, bytes: bytes + sentBytes });
  },
});
const client = await createClient({ endpoint: gateway.url, token: gateway.writeToken });

/** Prints what a call returns, and what the gateway was asked meanwhile. */
async function measured(what, call) {
  requests = new Map();
  const result = await call();
  console.log(what, JSON.stringify(result));
  for (const [name, { count, bytes }] of requests) {
    console.log(`    ${count} × ${name}: ${bytes} bytes of responses`);
  }
}

/** Bytes that no two chunks share, as fast as the processor encrypts zeros. */
async function* randomPieces() {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 * 1024 * 1024);
  for (let left = sizeBytes; left > 0; left -= zeros.length) {
    yield cipher.update(zeros.subarray(0, Math.min(left, zeros.length)));
  }
}

try {
  await pipeline(Readable.from(randomPieces()), createWriteStream(file));
  const { files } = await client.upload(file);
  const [{ fileHash }] = files;
  const middle = Math.floor(sizeBytes / 2) + 12_345;
  const splices = [{ offset: middle, insert }];
  await measured('insert', () => client.edit(fileHash, splices));
  await measured('insert, what is folded is remembered', () => client.edit(fileHash, splices));
  await measured('append', () => client.append(fileHash, insert));
  const range = { offset: middle, length: 4096, verifyRange: 'require' };
  await measured('range', () => client.download(fileHash, { to: join(folder, 'range'), ...range }));
} finally {
  await client.close();
  await gateway.close();
  await rm(folder, { recursive: true, force: true });
}
