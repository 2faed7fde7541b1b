import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { MerkleHash } from '../hash/index.js';
import { RECORD_HEADER_BYTES, XORB_ACCEPT_MAX_BYTES, XORB_MAX_CHUNKS } from '../xorb/index.js';
import { arrayField, integerField, objectField, stringField, unexpected } from './json-fields.js';
import { indexRanges } from './range-index.js';
import type { FetchEntry, FetchRange, Reconstruction, Term, XorbFetch } from './types.js';

/**
 * The JSON of reconstruction responses, both versions, read and written (HTTP API, "Reconstruction").
 *
 *     offset_into_first_range   bytes to drop first
 *     terms[]                   hash, unpacked_length, range {start, end}           chunks, end exclusive
 *                               chunk_byte_sizes [u32]                              optional
 *     V2  xorbs                 hash → [{ url, ranges: [{ chunks {start, end}, bytes {start, end} }] }]
 *     V1  fetch_info            hash → [{ range {start, end}, url, url_range {start, end} }]
 *
 * The byte ranges on the wire have an INCLUSIVE end; here they become half-open. Fields that are
 * not listed are ignored. The JSON comes from outside: every number is checked before it is used.
 */

/** Terms or ranges in one response; 4 Mi terms of one chunk are 256 GiB of file. */
const MAX_LIST_LENGTH = 1 << 22;
/** Signed URLs are cut at about 8 KiB by servers; tokens and URLs of the Hub at 64,000. */
const MAX_URL_LENGTH = 65_536;
const MAX_U32 = 0xffff_ffff;

/** `{start, end}` as JSON; whether `end` is inclusive depends on the field. */
export interface JsonRange {
  readonly start: number;
  readonly end: number;
}

/** What both versions begin with. */
export interface ReconstructionHeadJson {
  readonly offset_into_first_range: number;
  readonly terms: readonly {
    readonly hash: string;
    readonly unpacked_length: number;
    readonly range: JsonRange;
    /** Uncompressed bytes of each chunk; only when asked for with `?chunk_byte_sizes=true`. */
    readonly chunk_byte_sizes?: readonly number[];
  }[];
}

/** Body of `GET /v1/reconstructions/{file}`. `url_range.end` is inclusive. */
export interface ReconstructionV1Json extends ReconstructionHeadJson {
  readonly fetch_info: Readonly<
    Record<
      string,
      readonly { readonly range: JsonRange; readonly url: string; readonly url_range: JsonRange }[]
    >
  >;
}

/** Body of `GET /v2/reconstructions/{file}`. `bytes.end` is inclusive. */
export interface ReconstructionV2Json extends ReconstructionHeadJson {
  readonly xorbs: Readonly<
    Record<
      string,
      readonly {
        readonly url: string;
        readonly ranges: readonly { readonly chunks: JsonRange; readonly bytes: JsonRange }[];
      }[]
    >
  >;
}

/**
 * Reads a response of either version (told apart by `xorbs` or `fetch_info`) and checks that it can
 * be carried out: every term is covered by one range of its xorb, all sizes are possible.
 *
 * @throws OrbweaverError `PROTOCOL` with `fields.field`
 * @example
 * const reconstruction = parseReconstruction(JSON.parse(text));
 */
export function parseReconstruction(json: unknown): Reconstruction {
  const body = objectField(json, 'reconstruction');
  const internHash = createHashInterner();
  const terms = arrayField(body['terms'], 'terms', MAX_LIST_LENGTH).map((term, index) =>
    parseTerm(term, `terms[${index}]`, internHash),
  );
  const firstBytes = terms[0]?.unpackedBytes ?? 0;
  const offsetIntoFirstTerm = integerField(
    body['offset_into_first_range'],
    'offset_into_first_range',
    0,
    Math.max(0, firstBytes - 1),
  );
  const fetches =
    body['xorbs'] === undefined
      ? parseFetches(body['fetch_info'], 'fetch_info', terms.length === 0, parseV1Entry, internHash)
      : parseFetches(body['xorbs'], 'xorbs', false, parseV2Entry, internHash);
  checkCoverage(terms, fetches);
  return { offsetIntoFirstTerm, terms, fetches };
}

/**
 * The body of a version 1 response: one URL per range.
 *
 * @example
 * response.end(JSON.stringify(encodeReconstructionV1(reconstruction)));
 */
export function encodeReconstructionV1(reconstruction: Reconstruction): ReconstructionV1Json {
  return {
    ...encodeHead(reconstruction),
    fetch_info: Object.fromEntries(
      reconstruction.fetches.map(({ xorb, entries }) => [
        xorb.toString(),
        entries.flatMap(({ url, ranges }) =>
          ranges.map((range) => ({
            range: { start: range.chunkStart, end: range.chunkEnd },
            url,
            url_range: { start: range.byteStart, end: range.byteEnd - 1 },
          })),
        ),
      ]),
    ),
  };
}

/**
 * The body of a version 2 response. Splitting an entry whose URL grows too long is the caller's.
 *
 * @example
 * response.end(JSON.stringify(encodeReconstructionV2(reconstruction)));
 */
export function encodeReconstructionV2(reconstruction: Reconstruction): ReconstructionV2Json {
  return {
    ...encodeHead(reconstruction),
    xorbs: Object.fromEntries(
      reconstruction.fetches.map(({ xorb, entries }) => [
        xorb.toString(),
        entries.map(({ url, ranges }) => ({
          url,
          ranges: ranges.map((range) => ({
            chunks: { start: range.chunkStart, end: range.chunkEnd },
            bytes: { start: range.byteStart, end: range.byteEnd - 1 },
          })),
        })),
      ]),
    ),
  };
}

function encodeHead(reconstruction: Reconstruction): ReconstructionHeadJson {
  return {
    offset_into_first_range: reconstruction.offsetIntoFirstTerm,
    terms: reconstruction.terms.map((term) => ({
      hash: term.xorb.toString(),
      unpacked_length: term.unpackedBytes,
      range: { start: term.chunkStart, end: term.chunkEnd },
      ...(term.chunkBytes === undefined ? {} : { chunk_byte_sizes: [...term.chunkBytes] }),
    })),
  };
}

function parseTerm(value: unknown, field: string, internHash: HashInterner): Term {
  const term = objectField(value, field);
  const { start: chunkStart, end: chunkEnd } = parseChunks(term['range'], `${field}.range`);
  const mostBytes = Math.min(MAX_U32, (chunkEnd - chunkStart) * MAX_CHUNK_BYTES);
  const length = `${field}.unpacked_length`;
  const unpackedBytes = integerField(term['unpacked_length'], length, 1, mostBytes);
  const sizes = term['chunk_byte_sizes'];
  return {
    xorb: internHash(term['hash'], `${field}.hash`),
    unpackedBytes,
    chunkStart,
    chunkEnd,
    ...(sizes === undefined || sizes === null
      ? {}
      : {
          chunkBytes: parseChunkBytes(sizes, `${field}.chunk_byte_sizes`, {
            chunkCount: chunkEnd - chunkStart,
            unpackedBytes,
          }),
        }),
  };
}

/** One size per chunk of the term, which add up to its bytes. */
function parseChunkBytes(
  value: unknown,
  field: string,
  { chunkCount, unpackedBytes }: { readonly chunkCount: number; readonly unpackedBytes: number },
): Uint32Array {
  const list = arrayField(value, field, chunkCount);
  if (list.length !== chunkCount) throw unexpected(field, `${chunkCount} elements`, list.length);
  const sizes = new Uint32Array(chunkCount);
  let total = 0;
  for (const [index, size] of list.entries()) {
    sizes[index] = integerField(size, `${field}[${index}]`, 1, MAX_CHUNK_BYTES);
    total += sizes[index] as number;
  }
  if (total !== unpackedBytes) throw unexpected(field, `${unpackedBytes} bytes in all`, total);
  return sizes;
}

function parseFetches(
  value: unknown,
  field: string,
  optional: boolean,
  parseEntry: (entry: unknown, field: string) => FetchEntry,
  internHash: HashInterner,
): XorbFetch[] {
  if (optional && (value === undefined || value === null)) return [];
  return Object.entries(objectField(value, field)).map(([hash, entries], index) => ({
    xorb: internHash(hash, `${field} key ${index}`),
    entries: arrayField(entries, `${field}.${hash}`, MAX_LIST_LENGTH).map((entry, position) =>
      parseEntry(entry, `${field}.${hash}[${position}]`),
    ),
  }));
}

function parseV1Entry(value: unknown, field: string): FetchEntry {
  const info = objectField(value, field);
  return {
    url: stringField(info['url'], `${field}.url`, MAX_URL_LENGTH),
    ranges: [parseFetchRange(info['range'], 'range', info['url_range'], 'url_range', field)],
  };
}

function parseV2Entry(value: unknown, field: string): FetchEntry {
  const entry = objectField(value, field);
  return {
    url: stringField(entry['url'], `${field}.url`, MAX_URL_LENGTH),
    ranges: arrayField(entry['ranges'], `${field}.ranges`, MAX_LIST_LENGTH).map((range, index) => {
      const at = `${field}.ranges[${index}]`;
      const { chunks, bytes } = objectField(range, at);
      return parseFetchRange(chunks, 'chunks', bytes, 'bytes', at);
    }),
  };
}

function parseFetchRange(
  chunks: unknown,
  chunksName: string,
  bytes: unknown,
  bytesName: string,
  field: string,
): FetchRange {
  const { start: chunkStart, end: chunkEnd } = parseChunks(chunks, `${field}.${chunksName}`);
  const pair = objectField(bytes, `${field}.${bytesName}`);
  const byteStart = integerField(
    pair['start'],
    `${field}.${bytesName}.start`,
    // Each record before the range has at least its header.
    chunkStart * RECORD_HEADER_BYTES,
    XORB_ACCEPT_MAX_BYTES,
  );
  const leastBytes = (chunkEnd - chunkStart) * RECORD_HEADER_BYTES;
  const inclusiveEnd = integerField(
    pair['end'],
    `${field}.${bytesName}.end`,
    byteStart + leastBytes - 1,
    XORB_ACCEPT_MAX_BYTES - 1,
  );
  return { chunkStart, chunkEnd, byteStart, byteEnd: inclusiveEnd + 1 };
}

/** A chunk range: half-open on the wire too, never empty. */
function parseChunks(value: unknown, field: string): JsonRange {
  const pair = objectField(value, field);
  const start = integerField(pair['start'], `${field}.start`, 0, XORB_MAX_CHUNKS - 1);
  return { start, end: integerField(pair['end'], `${field}.end`, start + 1, XORB_MAX_CHUNKS) };
}

function checkCoverage(terms: readonly Term[], fetches: readonly XorbFetch[]): void {
  const indexes = indexRanges(fetches);
  let totalBytes = 0;
  for (const [index, term] of terms.entries()) {
    totalBytes += term.unpackedBytes;
    const found = indexes.get(term.xorb.toString())?.find(term.chunkStart, term.chunkEnd);
    if (found === undefined || found === null) {
      throw unexpected(
        `terms[${index}].range`,
        `to be covered by a fetch range of its xorb, chunks [${term.chunkStart}, ${term.chunkEnd})`,
        undefined,
      );
    }
  }
  if (totalBytes > Number.MAX_SAFE_INTEGER) {
    throw unexpected('terms', 'a file of at most 2^53 - 1 bytes', totalBytes);
  }
}

type HashInterner = (value: unknown, field: string) => MerkleHash;

/** One `MerkleHash` per distinct hash: a file has many terms and few xorbs. */
function createHashInterner(): HashInterner {
  const known = new Map<string, MerkleHash>();
  return (value, field) => {
    const text = stringField(value, field, 64);
    const cached = known.get(text);
    if (cached !== undefined) return cached;
    if (!/^[0-9a-fA-F]{64}$/.test(text)) throw unexpected(field, 'a hash of 64 digits', value);
    const hash = MerkleHash.parse(text);
    known.set(text, hash);
    return hash;
  };
}
