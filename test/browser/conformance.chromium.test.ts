import { createHash } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../dist/index.js';
import { hexDecode } from '../../src/bytes/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { decodeShard, type Shard } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';
import {
  type NativeFile,
  nativeBytes,
  nativeSessions,
  specOf,
  vectorsOf,
} from '../support/vectors.js';
import { chromiumPath, launch, NO_CHROMIUM, openPage, type Site, serveSite } from './support.js';

/**
 * What a page makes of known inputs: cuts, hashes and file hashes as the native client has them, and xorbs
 * and shards that are, byte for byte, those of our client in Node.
 */

const LIMIT_BYTES = 2_000_000;

/** What an upload has sent, by a `fetch` that keeps it. */
interface Recorded {
  readonly files: readonly { readonly path: string; readonly fileHash: string }[];
  /** SHA-256 of each xorb in hexadecimal digits, sorted. */
  readonly xorbs: readonly string[];
  readonly shards: readonly string[];
}

type MakeClient = (options: object) => Promise<{
  upload(
    inputs: readonly object[],
  ): Promise<{ files: readonly never[]; failed: readonly unknown[] }>;
  close(): Promise<void>;
}>;

/** Runs in the page and in Node: nothing from outside of it may be used. */
async function record(create: MakeClient, inputs: readonly object[]): Promise<Recorded> {
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const xorbs: string[] = [];
  const shards: string[] = [];
  const answer = (status: number, json: object): Response =>
    new Response(JSON.stringify(json), { status });
  const fetch = async (
    url: URL,
    { body: given }: { body?: Uint8Array<ArrayBuffer> | Blob },
  ): Promise<Response> => {
    const path = new URL(url).pathname;
    // Large ones are blobs in a page.
    const body = given instanceof Blob ? new Uint8Array(await given.arrayBuffer()) : given;
    if (path.startsWith('/v1/xorbs/') && body instanceof Uint8Array) {
      xorbs.push(hex(new Uint8Array(await crypto.subtle.digest('SHA-256', body))));
      return answer(200, { was_inserted: true });
    }
    if (path === '/v1/shards' && body instanceof Uint8Array) {
      shards.push(hex(body));
      return answer(200, { result: 1 });
    }
    return answer(404, {});
  };
  const client = await create({ endpoint: 'https://cas.example', workers: 2, fetch });
  const files: never[] = [];
  // One by one: how small files share a xorb depends on which of them was read first.
  for (const input of inputs) {
    const result = await client.upload([input]);
    if (result.failed.length > 0) throw new Error(JSON.stringify(result.failed));
    files.push(...result.files);
  }
  await client.close();
  return { files, xorbs: xorbs.sort(), shards };
}

/** Lengths and hashes of the chunks of a file, as a shard has them. */
function chunksOf(
  shards: readonly Shard[],
  fileHash: string,
): { lengths: number[]; hashes: Buffer } {
  const xorbs = new Map(shards.flatMap(({ xorbs }) => xorbs).map((xorb) => [`${xorb.hash}`, xorb]));
  const file = shards.flatMap(({ files }) => files).find(({ hash }) => `${hash}` === fileHash);
  const lengths: number[] = [];
  const hashes: Uint8Array[] = [];
  for (const { xorb, chunkStart, chunkEnd } of file?.terms ?? []) {
    const { chunkLengths, chunkHashes } = xorbs.get(`${xorb}`) as NonNullable<
      ReturnType<typeof xorbs.get>
    >;
    lengths.push(...chunkLengths.subarray(chunkStart, chunkEnd));
    hashes.push(chunkHashes.subarray(32 * chunkStart, 32 * chunkEnd));
  }
  return { lengths, hashes: Buffer.concat(hashes) };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(chromiumPath() === null)(
  chromiumPath() === null ? NO_CHROMIUM : 'known inputs in a page',
  () => {
    const sessions = [...nativeSessions(), nativeBytes()].filter(
      ({ files }) => files.reduce((sum, { bytes }) => sum + bytes, 0) <= LIMIT_BYTES,
    );
    let browser: Browser;
    let site: Site;
    let page: Page;
    beforeAll(async () => {
      [browser, site] = await Promise.all([launch(), serveSite({ isolated: true })]);
      page = await openPage(browser, site);
    });
    afterAll(async () => {
      await browser?.close();
      await site?.close();
    });

    it('has sessions to meet', () => expect(sessions.length).toBeGreaterThan(8));

    const inPage = (
      inputs: readonly { readonly name: string; readonly data: Uint8Array }[],
    ): Promise<Recorded> => {
      for (const { name, data } of inputs) site.files.set(`/in/${encodeURIComponent(name)}`, data);
      const names = inputs.map(({ name }) => name);
      return page.evaluate<Recorded>(`(async () => {
        const inputs = await Promise.all(${JSON.stringify(names)}.map(async (name) => {
          const response = await fetch('/in/' + encodeURIComponent(name));
          return { name, data: await response.blob() };
        }));
        return (${record})(orbweaver.createClient, inputs);
      })()`);
    };

    it('cuts and hashes the known answers as they are', async () => {
      const vectors = ['chunking', 'chunking_trigger', 'hash']
        .flatMap((group) => vectorsOf(group))
        // Of the 128 patterns that differ in their padding only, some.
        .filter(({ group, input }) => group !== 'chunking_trigger' || input.padding % 8 === 0);
      expect(vectors.length).toBeGreaterThan(25);
      const inputs = vectors.map(({ group, id, input }) => ({
        name: `${group}/${id}`,
        data: generate(specOf(input)),
      }));
      const { files, shards } = await inPage(inputs);
      const decoded = shards.map((text) => decodeShard(hexDecode(text)));
      for (const [i, { expected }] of vectors.entries()) {
        const { lengths, hashes } = chunksOf(decoded, files[i]?.fileHash as string);
        let end = 0;
        const ends = lengths.map((length) => {
          end += length;
          return end;
        });
        const name = inputs[i]?.name;
        if (expected.cuts !== undefined) expect([name, ends]).toEqual([name, expected.cuts]);
        if (expected.chunk_hashes === undefined) continue;
        const texts = ends.map((_, n) => MerkleHash.from(hashes, 32 * n).toString());
        expect([name, texts]).toEqual([name, expected.chunk_hashes]);
      }
    });

    it.each(sessions)('$id', async ({ files }) => {
      const inputs = files.map(({ name, spec }) => ({ name, data: generate(spec) }));
      const here = await inPage(inputs);
      const node = await record(createClient as unknown as MakeClient, inputs);
      expect(here).toEqual(node);
      const shards = here.shards.map((text) => decodeShard(hexDecode(text)));
      for (const file of files) checkFile(file, here, shards);
    });
  },
);

function checkFile(file: NativeFile, { files }: Recorded, shards: readonly Shard[]): void {
  const fileHash = files.find(({ path }) => path === file.name)?.fileHash as string;
  expect(fileHash).toBe(file.file_hash);
  const { lengths, hashes } = chunksOf(shards, fileHash);
  if (file.chunk_lengths !== null) expect(lengths).toEqual(file.chunk_lengths);
  expect(lengths).toHaveLength(file.chunks);
  expect(sha256(hashes)).toBe(file.chunk_hashes_sha256);
}
