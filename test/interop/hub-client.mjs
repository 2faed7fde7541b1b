// Drives the stock @huggingface/hub: argv are its module, the URL of the Hub and a token.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [module, hubUrl, accessToken] = process.argv.slice(2);
const hub = await import(pathToFileURL(module).href);
const repo = 'js/model';
const at = { hubUrl, accessToken, repo };

const all = async (items) => {
  const list = [];
  for await (const item of items) list.push(item);
  return list;
};
const bytesOf = async (path, options = {}) => {
  const blob = await hub.downloadFile({ ...at, path, ...options });
  return Buffer.from(await blob.arrayBuffer());
};

await hub.createRepo(at);
const big = randomBytes(3_000_000);
await hub.uploadFiles({
  ...at,
  files: [
    { path: 'big.bin', content: new Blob([big]) },
    { path: 'text/README.md', content: new Blob(['# hello']) },
  ],
});
const paths = (await all(hub.listFiles({ ...at, recursive: true }))).map(({ path }) => path);
assert.deepEqual(paths, ['.gitattributes', 'big.bin', 'text', 'text/README.md']);
assert(big.equals(await bytesOf('big.bin')));
assert(big.equals(await bytesOf('big.bin', { xet: false })));
assert.equal((await bytesOf('text/README.md')).toString(), '# hello');

await hub.uploadFiles({ ...at, files: [{ path: 'empty.txt', content: new Blob([]) }] });
assert.equal((await bytesOf('empty.txt')).length, 0);
await hub.deleteFile({ ...at, path: 'empty.txt' });

const pointer = (await bytesOf('big.bin', { raw: true })).toString();
assert.match(pointer, /^version https:\/\/git-lfs.*\noid sha256:[0-9a-f]{64}\nsize 3000000\n$/);

const made = { ...at, repo: { type: 'dataset', name: 'js/made' } };
await hub.createRepo({ ...made, files: [{ path: 'a/b.txt', content: new Blob(['first']) }] });
assert.equal(await (await hub.downloadFile({ ...made, path: 'a/b.txt' })).text(), 'first');

const plain = randomBytes(1_500_000);
await hub.uploadFiles({
  ...at,
  useXet: false,
  files: [{ path: 'plain.bin', content: new Blob([plain]) }],
});
assert(plain.equals(await bytesOf('plain.bin')));

const edit = (originalContent, start, end, text) =>
  hub.commit({
    ...at,
    title: 'edit',
    operations: [
      {
        operation: 'edit',
        path: 'big.bin',
        originalContent,
        edits: [{ start, end, content: new Blob([text]) }],
      },
    ],
  });
await edit(new Blob([big]), 1000, 1010, 'from a local copy');
await edit(
  await hub.downloadFile({ ...at, path: 'big.bin' }),
  2_000_000,
  2_000_000,
  'from the store',
);
const edited = await bytesOf('big.bin');
const once = Buffer.concat([
  big.subarray(0, 1000),
  Buffer.from('from a local copy'),
  big.subarray(1010),
]);
assert(
  edited.equals(
    Buffer.concat([
      once.subarray(0, 2_000_000),
      Buffer.from('from the store'),
      once.subarray(2_000_000),
    ]),
  ),
);

await hub.deleteFile({ ...at, path: 'plain.bin' });
assert.equal(await hub.fileExists({ ...at, path: 'plain.bin' }), false);
assert.equal(await hub.countCommits({ ...at, revision: 'main' }), 8);
assert.equal((await hub.modelInfo({ ...at, name: repo })).name, repo);
await hub.createBranch({ ...at, branch: 'dev' });
await hub.deleteBranch({ ...at, branch: 'dev' });
await hub.deleteRepo(at);
assert.equal(await hub.repoExists(at), false);
// Buckets: files without history.
const bucket = { hubUrl, accessToken, repo: { type: 'bucket', name: 'js/bucket' } };
await hub.createRepo(bucket);
await hub.uploadFiles({ ...bucket, files: [{ path: 'a/big.bin', content: new Blob([big]) }] });
const inBucket = await all(hub.listFiles({ ...bucket, recursive: true }));
assert.deepEqual(
  inBucket.map(({ path, size }) => [path, size]),
  [['a/big.bin', big.length]],
);
const blob = await hub.downloadFile({ ...bucket, path: 'a/big.bin' });
assert(big.equals(Buffer.from(await blob.arrayBuffer())));
await hub.deleteFile({ ...bucket, path: 'a/big.bin' });
assert.deepEqual(await all(hub.listFiles(bucket)), []);
await hub.deleteRepo(bucket);
console.log('done');
// The client at times leaves a timer that keeps the process alive.
process.exit(0);
