import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { builtUrl } from '../workers/built.js';

/** Runs a program in a process of its own, which must end by itself. */
function run(program: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      timeout: 20_000,
    });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        out += text.toString();
      });
    }
    child.on('error', reject);
    child.on('close', () => resolve(out));
  });
}

const USE = `
  import { createServer } from 'node:http';
  import { Module } from 'node:module';
  import { createCasClient } from ${JSON.stringify(builtUrl('transport/index.js'))};
  import { MerkleHash } from ${JSON.stringify(builtUrl('hash/index.js'))};
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.method === 'POST') response.end('{"was_inserted":true}');
      else response.writeHead(206, { 'content-range': 'bytes 0-3/4', 'content-length': 4 }).end('four');
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = 'http://127.0.0.1:' + server.address().port;
  const use = async (options) => {
    const cas = createCasClient({ endpoint, token: '', ...options });
    await cas.putXorb(MerkleHash.from(new Uint8Array(32)), { sizeBytes: 1, pieces: [new Uint8Array(1)] });
    const reader = cas.readRanges(endpoint + '/x', [{ start: 0, end: 4 }]);
    while ((await reader.fill(new Uint8Array(9))) > 0);
    return cas;
  };
  const loaded = () => Object.keys(Module._cache).filter((path) => path.includes('undici')).length;
`;

describe('a process that uses the store', () => {
  it('loads no code of undici', async () => {
    const program = `${USE} await (await use({})).close(); server.close(); console.log(loaded());`;
    expect(await run(program)).toBe('0\n');
  });

  it('ends by itself although connections are kept and nobody closed the client', async () => {
    const program = `${USE} await use({}); server.close(); server.unref(); console.log('done');`;
    expect(await run(program)).toBe('done\n');
  });
});
