import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'orbweaver';
import { startGateway } from 'orbweaver/gateway';
import { describe, expect, it } from 'vitest';
import { startS3Server } from '../s3/support/s3-server.js';
import { generate } from '../support/generators.js';
import { nativeDownload, nativeUpload } from './native.js';

const isThere = process.env['ORBWEAVER_S3_SERVER'] !== undefined;

/** Without the server (scripts/s3.mjs builds it; it needs Go) there is no bucket to try. */
describe.skipIf(!isThere)('with the native client and a bucket', () => {
  it('it and orbweaver take each other’s files, and no xorb body goes through the gateway', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-interop-s3-'));
    const server = await startS3Server();
    Object.assign(process.env, server.env);
    const bodies: string[] = [];
    const commits: string[] = [];
    const gateway = await startGateway({
      data: `s3://${server.bucket}/store`,
      s3: { endpoint: server.endpoint },
      directDownloads: true,
      port: 0,
      onAccess: ({ method, path }) => {
        if (/^(POST \/v1\/xorbs\/|PUT |GET \/v1\/fetch\/)/.test(`${method} ${path}`)) {
          bodies.push(path);
        }
        if (path.startsWith('/v1/xorb-commits/')) commits.push(path);
      },
    });
    const target = { endpoint: gateway.url, token: gateway.writeToken };
    const client = await createClient(target);
    try {
      const paths = await Promise.all(
        [1, 2].map(async (seed) => {
          const path = join(folder, `in-${seed}`);
          await writeFile(path, generate({ kind: 'splitmix64', seed, bytes: 40_000_000 }));
          return path;
        }),
      );
      const [theirs, ours] = paths as [string, string];
      const [uploaded] = await nativeUpload(target, [theirs]);
      expect(commits.length).toBeGreaterThan(0);
      const { files } = await client.upload([ours]);
      const out = join(folder, 'theirs.out');
      await client.download(uploaded?.hash ?? '', { to: out });
      expect((await readFile(out)).equals(await readFile(theirs))).toBe(true);
      const back = {
        hash: files[0]?.fileHash ?? '',
        sizeBytes: 40_000_000,
        path: join(folder, 'o'),
      };
      await nativeDownload(target, [back]);
      expect((await readFile(back.path)).equals(await readFile(ours))).toBe(true);
      expect(bodies).toEqual([]);
    } finally {
      await client.close();
      await gateway.close();
      await server.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});
