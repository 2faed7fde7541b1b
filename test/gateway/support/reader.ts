import { parseReconstruction, type Reconstruction } from '../../../src/plan/index.js';
import { createRecordDecoder } from '../../../src/xorb/index.js';
import { bytesOf, codec, hasher, READ_TOKEN, type Rig } from './rig.js';

/** A small reader, written against the protocol and not against the client's download plan. */

export async function reconstruction(
  rig: Rig,
  file: string,
  options: { version?: 1 | 2; range?: string } = {},
): Promise<Reconstruction> {
  const response = await rig.send('GET', `/v${options.version ?? 2}/reconstructions/${file}`, {
    token: READ_TOKEN,
    ...(options.range === undefined ? {} : { headers: { range: options.range } }),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return parseReconstruction(await response.json());
}

/** Bytes of a file, or of the range `[start, end)` of it, one request per fetch range. */
export async function download(
  rig: Rig,
  file: string,
  options: { version?: 1 | 2; start?: number; end?: number } = {},
): Promise<Uint8Array> {
  const { start, end, version } = options;
  const ranged = start !== undefined && end !== undefined;
  const answer = await reconstruction(rig, file, {
    ...(version === undefined ? {} : { version }),
    ...(ranged ? { range: `bytes=${start}-${end - 1}` } : {}),
  });
  const pieces: Uint8Array[] = [];
  for (const term of answer.terms) {
    const entries = answer.fetches.find(({ xorb }) => xorb.equals(term.xorb))?.entries ?? [];
    const found = entries
      .flatMap(({ url, ranges }) => ranges.map((range) => ({ url, range })))
      .find(({ range }) => range.chunkStart <= term.chunkStart && range.chunkEnd >= term.chunkEnd);
    if (found === undefined) throw new Error('a term is not covered');
    const { url, range } = found;
    const response = await rig.send('GET', url, {
      token: null,
      headers: { range: `bytes=${range.byteStart}-${range.byteEnd - 1}` },
    });
    if (response.status !== 206) throw new Error(`${response.status} ${await response.text()}`);
    pieces.push(decodeChunks(await bytesOf(response), range.chunkStart, term));
  }
  const all = Buffer.concat(pieces).subarray(answer.offsetIntoFirstTerm);
  return new Uint8Array(ranged ? all.subarray(0, end - start) : all);
}

function decodeChunks(
  records: Uint8Array,
  firstChunk: number,
  term: { chunkStart: number; chunkEnd: number; unpackedBytes: number },
): Uint8Array {
  const lengths: number[] = [];
  for (let at = 0; at < records.length; ) {
    const view = new DataView(records.buffer, records.byteOffset + at);
    lengths.push(view.getUint32(5, true) & 0xffffff);
    at += 8 + ((view.getUint8(1) | (view.getUint8(2) << 8) | (view.getUint8(3) << 16)) >>> 0);
  }
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const output = new Uint8Array(total);
  createRecordDecoder({ codec, hasher }).decode(records, 0, records.length, output, 0, total);
  const before = (count: number): number => lengths.slice(0, count).reduce((a, b) => a + b, 0);
  const start = before(term.chunkStart - firstChunk);
  return output.subarray(start, start + term.unpackedBytes);
}
