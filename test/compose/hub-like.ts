import { MerkleHashSubtree } from '@huggingface/xetchunk-wasm';
import * as client from 'orbweaver';
import { createReadableBlake3, MerkleHash, rangeHash } from '../../src/hash/index.js';
import { bytesBody, type Exchange } from '../../src/http/index.js';
import { parseReconstruction } from '../../src/plan/index.js';

const hasher = createReadableBlake3();

/**
 * A store that responds as the Hub does: `file-chunk-hashes` by another implementation (subtrees of
 * `@huggingface/xetchunk-wasm`, windows by the words of the protocol), whole terms, no chunk sizes, no
 * `HEAD`. The rest is `exchange`.
 *
 * @param files all files by their hash
 */
export function hubLike(
  exchange: Exchange,
  files: ReadonlyMap<string, client.UploadInput>,
): Exchange {
  const listings = new Map<string, Promise<client.ChunkListing>>();
  return async (request) => {
    const { pathname } = request.url;
    if (request.method === 'HEAD') return { status: 405, headers: {}, body: null };
    const hash = /\/v2\/file-chunk-hashes\/([0-9a-f]{64})$/.exec(pathname)?.[1];
    if (hash === undefined) return exchange(request);
    const input = files.get(hash);
    if (input === undefined) return { status: 404, headers: {}, body: null };
    const url = new URL(`/v2/reconstructions/${hash}`, request.url);
    const headers = { authorization: request.headers['authorization'] ?? '' };
    const { signal } = request;
    const whole = await exchange({ method: 'GET', url, headers, body: null, signal });
    const { terms } = parseReconstruction(JSON.parse(await textOf(whole.body)));
    const listing = listings.get(hash) ?? client.chunkInput(input);
    listings.set(hash, listing);
    const { chunks, sizeBytes } = await listing;
    const windows = windowsOf(chunks, request.headers['x-range-dirty'] ?? '');
    const isInWindow = (offset: number): boolean =>
      windows.some(([start, end]) => start <= offset && offset < end);
    const edges = [0, ...windows.flat(), sizeBytes];
    const hashRanges = [];
    for (let i = 0; i < edges.length; i += 2) {
      const [start, end] = [edges[i] as number, edges[i + 1] as number];
      const inside = chunks.filter(({ offset }) => offset >= start && offset < end);
      hashRanges.push(
        inside.length === 0
          ? null
          : MerkleHashSubtree.fromChunks(
              start === 0,
              inside.map(({ hash: text, length }) => ({
                hash: MerkleHash.parse(text).bytes,
                length,
              })),
              end === sizeBytes,
            ).toJSON(),
      );
    }
    let position = 0;
    const gapVerification = terms.flatMap(({ unpackedBytes }) => {
      const [start, end] = [position, position + unpackedBytes];
      position = end;
      const inside = chunks.filter(({ offset }) => offset >= start && offset < end);
      if (inside.some(({ offset }) => isInWindow(offset))) return [];
      const packed = Buffer.concat(inside.map(({ hash: text }) => MerkleHash.parse(text).bytes));
      return [rangeHash(hasher, packed, 0, inside.length).toString()];
    });
    const body = JSON.stringify({
      totalChunks: chunks.length,
      fileSize: sizeBytes,
      windows: windows.map((dirtyByteRange) => ({ dirtyByteRange })),
      hashRanges,
      gapVerification,
    });
    return {
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: bytesBody(new TextEncoder().encode(body)),
    };
  };
}

/**
 * "Open at the first chunk overlapping a dirty range; extend over all chunks overlapping this or
 * following ranges; then keep extending over clean chunks until two consecutive clean chunks both have
 * sizes in [16384, 122880) and close after the second."
 */
function windowsOf(
  chunks: readonly { readonly offset: number; readonly length: number }[],
  header: string,
): [number, number][] {
  const ranges = header
    .replace('bytes=', '')
    .split(',')
    .map((text) => text.split('-').map(Number) as [number, number]);
  const windows: [number, number][] = [];
  let open: [number, number] | null = null;
  let clean = 0;
  for (const { offset, length } of chunks) {
    const isDirty = ranges.some(([first, last]) => first < offset + length && last >= offset);
    if (isDirty && open === null) {
      open = [offset, offset];
      windows.push(open);
    }
    if (open === null) continue;
    open[1] = offset + length;
    clean = !isDirty && length >= 16_384 && length < 122_880 ? clean + 1 : 0;
    if (clean === 2) {
      open = null;
      clean = 0;
    }
  }
  return windows;
}

async function textOf(body: { fill(into: Uint8Array): Promise<number> } | null): Promise<string> {
  const pieces: Buffer[] = [];
  for (;;) {
    const piece = Buffer.alloc(65_536);
    const count = (await body?.fill(piece)) ?? 0;
    if (count === 0) return Buffer.concat(pieces).toString();
    pieces.push(piece.subarray(0, count));
  }
}
