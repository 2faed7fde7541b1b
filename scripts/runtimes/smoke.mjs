// The library on another runtime: what `npm run test:runtimes` runs there. One line for each step.
//
//     <runtime> smoke.mjs <folder of the package's dist>
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

const dist = process.argv.at(-1);
const load = (name) => import(pathToFileURL(join(dist, `${name}.js`)).href);
const { createClient, isOrbweaverError } = await load('index');
const { startGateway } = await load('gateway');
const formats = await load('formats');

const folder = await mkdtemp(join(tmpdir(), 'orbweaver-runtime-'));
const bytes = new Uint8Array(6_000_000);
for (let i = 0, state = 1; i < bytes.length; i++) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  bytes[i] = state >>> 24;
}
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
function check(isRight, what) {
  if (!isRight) throw new Error(`${what}: not as expected`);
}

let failures = 0;
async function step(name, run) {
  let stop;
  const late = new Promise((_, reject) => {
    stop = setTimeout(() => reject(new Error('it took longer than 20 s')), 20_000);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    failures++;
    console.log(`FAILED ${name}: ${error?.code ?? ''} ${error?.stack ?? error}`);
  } finally {
    clearTimeout(stop);
  }
}

let gateway;
let client;
let hash;
await step('formats', async () => check(typeof formats.findCuts === 'function', 'findCuts'));
await step('gateway in process', async () => {
  gateway = await startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
});
const open = (more = {}) =>
  createClient({ endpoint: gateway.url, token: gateway.writeToken, ...more });
await step('client with threads', async () => {
  client = await open({ workers: 1 });
});
await step('upload', async () => {
  await writeFile(join(folder, 'a.bin'), bytes);
  const { files, failed } = await client.upload([join(folder, 'a.bin')], { sha256: true });
  check(failed.length === 0, 'failed');
  hash = files[0].fileHash;
});
await step('upload again sends nothing', async () => {
  const { newBytes, files } = await client.upload(bytes);
  check(files[0].fileHash === hash && (newBytes ?? 0) === 0, 'the result');
});
await step('download', async () => {
  const to = join(folder, 'b.bin');
  const { verified } = await client.download(hash, { to });
  check(verified && same(new Uint8Array(await readFile(to)), bytes), 'the file');
});
await step('stream', async () => {
  const pieces = [];
  for await (const piece of client.stream(hash)) pieces.push(piece);
  check(same(new Uint8Array(Buffer.concat(pieces)), bytes), 'the bytes');
});
await step('range', async () => {
  const file = await client.open(hash);
  check(same(await file.read(1_234_567, 4096), bytes.subarray(1_234_567, 1_238_663)), 'the range');
  await file.close();
});
await step('folder', async () => {
  const tree = join(folder, 'tree');
  const { mkdir } = await import('node:fs/promises');
  await mkdir(join(tree, 'in'), { recursive: true });
  await writeFile(join(tree, 'in', 'x.txt'), 'hello');
  const { manifestHash } = await client.uploadFolder(tree);
  await client.downloadFolder(manifestHash, { to: join(folder, 'copy') });
  check((await readFile(join(folder, 'copy', 'in', 'x.txt'), 'utf8')) === 'hello', 'the file');
});
await step('edit', async () => {
  const insert = new TextEncoder().encode('inserted');
  const result = await client.edit(hash, [{ offset: 3_000_000, deleteBytes: 5, insert }]);
  const to = join(folder, 'c.bin');
  await client.download(result.fileHash, { to });
  const got = new Uint8Array(await readFile(to));
  check(got.length === bytes.length + 3, 'the size');
  check(same(got.subarray(3_000_000, 3_000_008), insert), 'the insertion');
});
await step('resume', async () => {
  const to = join(folder, 'd.bin');
  const controller = new AbortController();
  const slow = await open({ workers: 0, limitDownload: 4_000_000 });
  const first = slow.download(hash, {
    to,
    signal: controller.signal,
    onProgress: ({ writtenBytes }) => {
      if (writtenBytes > 500_000) controller.abort();
    },
  });
  const error = await first.then(
    () => null,
    (failure) => failure,
  );
  check(error?.code === 'ABORTED', `the first run ended with ${error?.code}`);
  await slow.close();
  const { resumedBytes } = await client.download(hash, { to });
  check(resumedBytes > 0, 'resumedBytes');
  check(same(new Uint8Array(await readFile(to)), bytes), 'the file');
});
await step('errors', async () => {
  for (const [run, code] of [
    [() => client.download('0'.repeat(63), { to: join(folder, 'e') }), 'HASH_INVALID'],
    [() => client.download('1'.repeat(64), { to: join(folder, 'e') }), 'NOT_FOUND'],
  ]) {
    const error = await run().then(
      () => null,
      (failure) => failure,
    );
    check(isOrbweaverError(error) && error.code === code, `${code}, got ${error?.code}`);
  }
  const stranger = await createClient({ endpoint: gateway.url, token: 'wrong', workers: 0 });
  const error = await stranger.upload(new Uint8Array([1])).then(
    () => null,
    (failure) => failure,
  );
  check(error?.code === 'AUTH_REQUIRED', `AUTH_REQUIRED, got ${error?.code}`);
  await stranger.close();
});
await step('over fetch', async () => {
  const byFetch = await open({ workers: 0, fetch: globalThis.fetch });
  const to = join(folder, 'f.bin');
  await byFetch.download(hash, { to });
  check(same(new Uint8Array(await readFile(to)), bytes), 'the file');
  await byFetch.close();
});
await step('close', async () => {
  await client.close();
  await gateway.close();
});
await rm(folder, { recursive: true, force: true });
console.log(failures === 0 ? 'all steps passed' : `${failures} steps failed`);
process.exit(failures === 0 ? 0 : 1);
