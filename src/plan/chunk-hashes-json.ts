import { isOrbweaverError } from '../errors.js';
import {
  MerkleHash,
  type MerkleSubtree,
  type SubtreeJson,
  subtreeFromJSON,
  subtreeSizeBytes,
  subtreeToJSON,
} from '../hash/index.js';
import { arrayField, integerField, objectField, stringField, unexpected } from './json-fields.js';

/**
 * The JSON of `GET /v2/file-chunk-hashes/{file}` (HTTP API, "File chunk hashes"), read and written.
 *
 *     fileSize, totalChunks
 *     windows[]          dirtyByteRange [start, end)        what has to be chunked again; on chunk boundaries
 *     hashRanges[]       subtree | null                     before, between and behind the windows; null: no chunks
 *     gapVerification[]  range hash                         of each term that lies outside of all windows
 */

/** What a store says about the chunks of a file around windows of it. */
export interface FileChunkHashes {
  readonly fileSizeBytes: number;
  readonly chunkCount: number;
  /** Bytes `[start, end)`, ascending, on chunk boundaries. */
  readonly windows: readonly { readonly start: number; readonly end: number }[];
  /** One more than windows: the chunks before, between and behind them; null where there are none. */
  readonly gaps: readonly (MerkleSubtree | null)[];
  /** Range hashes of the terms that lie outside of all windows, in order; empty when not known. */
  readonly gapVerification: readonly MerkleHash[];
}

/** The body of a response. */
export interface FileChunkHashesJson {
  readonly totalChunks: number;
  readonly fileSize: number;
  readonly windows: readonly { readonly dirtyByteRange: readonly [number, number] }[];
  readonly hashRanges: readonly (SubtreeJson | null)[];
  readonly gapVerification: readonly string[];
}

/** As many as a client may ask for, and some. */
const MAX_WINDOWS = 65_536;
/** Terms of 4 Mi entries are the most that a reconstruction may have, too. */
const MAX_TERMS = 1 << 22;

/** Hashes in one text. */
const HASHES_PER_TEXT = 512;

/** The JSON of a response as a sequence of texts: a file may have a million terms. */
export function* fileChunkHashesTexts(hashes: FileChunkHashes): Generator<string> {
  const { gaps, gapVerification } = hashes;
  const head: Omit<FileChunkHashesJson, 'hashRanges' | 'gapVerification'> = {
    totalChunks: hashes.chunkCount,
    fileSize: hashes.fileSizeBytes,
    windows: hashes.windows.map(({ start, end }) => ({ dirtyByteRange: [start, end] })),
  };
  yield `${JSON.stringify(head).slice(0, -1)},"hashRanges":[`;
  for (const [index, gap] of gaps.entries()) {
    yield (index === 0 ? '' : ',') + JSON.stringify(gap === null ? null : subtreeToJSON(gap));
  }
  yield '],"gapVerification":[';
  for (let at = 0; at < gapVerification.length; at += HASHES_PER_TEXT) {
    const some = gapVerification.slice(at, at + HASHES_PER_TEXT);
    yield (at === 0 ? '' : ',') + JSON.stringify(some).slice(1, -1);
  }
  yield ']}';
}

/**
 * Reads a response and checks that it fits together: windows ascend inside of the file, and each gap
 * has as many bytes as lie between its windows.
 *
 * @throws OrbweaverError `PROTOCOL` with `fields.field`
 */
export function parseFileChunkHashes(json: unknown): FileChunkHashes {
  const body = objectField(json, 'file-chunk-hashes');
  const fileSizeBytes = integerField(body['fileSize'], 'fileSize', 0, Number.MAX_SAFE_INTEGER);
  const chunkCount = integerField(body['totalChunks'], 'totalChunks', 0, fileSizeBytes);
  let position = 0;
  const windows = arrayField(body['windows'], 'windows', MAX_WINDOWS).map((value, index) => {
    const field = `windows[${index}].dirtyByteRange`;
    const pair = arrayField(objectField(value, `windows[${index}]`)['dirtyByteRange'], field, 2);
    const start = integerField(pair[0], `${field}[0]`, position, fileSizeBytes);
    position = integerField(pair[1], `${field}[1]`, start + 1, fileSizeBytes);
    return { start, end: position };
  });
  const ranges = arrayField(body['hashRanges'], 'hashRanges', MAX_WINDOWS + 1);
  if (ranges.length !== windows.length + 1) {
    throw unexpected('hashRanges', `${windows.length + 1} elements`, ranges.length);
  }
  const gaps = ranges.map((value, index) => {
    const field = `hashRanges[${index}]`;
    const start = windows[index - 1]?.end ?? 0;
    const end = windows[index]?.start ?? fileSizeBytes;
    const gap = value === null ? null : parseGap(value, field);
    const sizeBytes = gap === null ? 0 : subtreeSizeBytes(gap);
    if (sizeBytes !== end - start) throw unexpected(field, `${end - start} bytes`, sizeBytes);
    if (gap === null) return null;
    // Whether it lies at an end of the file is known from where it lies.
    return { ...gap, atStart: start === 0, atEnd: end === fileSizeBytes };
  });
  const gapVerification = arrayField(
    body['gapVerification'] ?? [],
    'gapVerification',
    MAX_TERMS,
  ).map((value, index) => parseHash(value, `gapVerification[${index}]`));
  return { fileSizeBytes, chunkCount, windows, gaps, gapVerification };
}

function parseGap(value: unknown, field: string): MerkleSubtree {
  try {
    return subtreeFromJSON(value);
  } catch (exception) {
    if (!isOrbweaverError(exception)) throw exception;
    throw unexpected(field, `a subtree (${exception.message})`, value);
  }
}

function parseHash(value: unknown, field: string): MerkleHash {
  const text = stringField(value, field, 64);
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw unexpected(field, 'a hash of 64 digits', value);
  return MerkleHash.parse(text);
}
