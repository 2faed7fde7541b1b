import { loadKernels } from '../../src/compose/chunk.js';
import { isOrbweaverError } from '../../src/errors.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  encodeReconstructionV1,
  encodeReconstructionV2,
  parseFileChunkHashes,
  parseReconstruction,
} from '../../src/plan/index.js';
import { createShardReader, decodeShard, encodeShard, type Shard } from '../../src/shard/index.js';
import { multipartBoundary, parseContentRange } from '../../src/transport/content-range.js';
import { createMultipartReader } from '../../src/transport/multipart.js';
import {
  decodeFooter,
  encodeFooter,
  readStoredXorb,
  verifyXorb,
  XorbBuilder,
  XorbReader,
} from '../../src/xorb/index.js';
import { sampleReconstruction } from '../plan/support.js';
import { sampleFile, sampleXorb } from '../shard/samples.js';
import { generate, SplitMix64 } from './generators.js';

/**
 * Damaged input for everything that parses what a stranger sends: xorbs, shards, reconstructions and
 * multipart bodies. Each input follows from a seed and a number, so one that makes trouble can be made again.
 */

/** Something that a parser must never do: throw anything but a typed error, work long, or hold much. */
export interface FuzzTrouble {
  readonly parser: string;
  readonly seed: number;
  readonly input: number;
  readonly what: string;
}

export interface FuzzResult {
  readonly inputs: number;
  /** Inputs of each parser that were taken, and that were refused by an error of each code. */
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly troubles: readonly FuzzTrouble[];
  /** The most that arrays outside the heap took, in bytes. */
  readonly peakArrayBytes: number;
  /** The longest that one input was worked on, in milliseconds of processor time. */
  readonly longestMs: number;
}

const MAX_INPUT_MS = 2000;
const MAX_ARRAY_BYTES = 256 * 1024 * 1024;
const MAX_TROUBLES = 20;

interface Parser {
  readonly name: string;
  readonly samples: readonly Uint8Array[];
  readonly parse: (bytes: Uint8Array, random: SplitMix64) => void;
}

/** @param isOver asked before each input, with the number of those before it */
export async function fuzzParsers(
  seed: number,
  isOver: (inputs: number) => boolean,
): Promise<FuzzResult> {
  const parsers = await makeParsers();
  const outcomes: Record<string, Record<string, number>> = {};
  const troubles: FuzzTrouble[] = [];
  let peakArrayBytes = 0;
  let longestMs = 0;
  let input = 0;
  for (; !isOver(input) && troubles.length < MAX_TROUBLES; input++) {
    const parser = parsers[input % parsers.length] as Parser;
    const random = new SplitMix64(seed * 1_000_003 + input);
    const bytes = damaged(parser.samples, random);
    const trouble = (what: string): void => {
      troubles.push({ parser: parser.name, seed, input, what });
    };
    const before = process.cpuUsage();
    let outcome = 'taken';
    try {
      parser.parse(bytes, random);
    } catch (error) {
      if (isOrbweaverError(error)) outcome = error.code;
      else {
        outcome = 'thrown';
        trouble(error instanceof Error ? `${error.stack}` : String(error));
      }
    }
    const { user } = process.cpuUsage(before);
    longestMs = Math.max(longestMs, user / 1000);
    if (user / 1000 > MAX_INPUT_MS) trouble(`it took ${user / 1000} ms of processor time`);
    const of = outcomes[parser.name] ?? {};
    outcomes[parser.name] = { ...of, [outcome]: (of[outcome] ?? 0) + 1 };
    if (input % 64 === 0) {
      const { arrayBuffers } = process.memoryUsage();
      peakArrayBytes = Math.max(peakArrayBytes, arrayBuffers);
      if (arrayBuffers > MAX_ARRAY_BYTES) trouble(`arrays take ${arrayBuffers} bytes`);
    }
  }
  return { inputs: input, outcomes, troubles, peakArrayBytes, longestMs };
}

async function makeParsers(): Promise<readonly Parser[]> {
  const { hasher, codec } = await loadKernels();
  const options = { hasher, codec };

  const xorbs = [1, 2, 3, 4].map((seed) => {
    const builder = new XorbBuilder(options);
    for (let chunk = 0; chunk < 3 * seed; chunk++) {
      const kind = (['splitmix64', 'words', 'floats'] as const)[chunk % 3] ?? 'words';
      builder.add(generate({ kind, seed: seed * 100 + chunk, bytes: 200 + 2500 * (chunk % 4) }));
    }
    const built = builder.finish();
    if (built === null) throw new Error('no chunks');
    return { bytes: built.bytes, stored: Buffer.concat([built.bytes, encodeFooter(built)]) };
  });
  const parseXorb = (bytes: Uint8Array): void => {
    eitherWay(
      () => verifyXorb({ ...options, footer: 'check' }, bytes),
      () => verifyXorb(options, bytes, MerkleHash.from(new Uint8Array(32))),
      () => decodeFooter(bytes),
      () => {
        const reader = new XorbReader(options, readStoredXorb(bytes));
        reader.decode(bytes, 0, 1);
      },
    );
  };

  const listed = [1, 5, 40].map((count) => sampleXorb(count, count));
  const shards = (['upload', 'stored', 'local'] as const).flatMap((variant) =>
    [1, 2, 3].map((count) => {
      const some = listed.slice(0, count);
      const file = sampleFile(
        MerkleHash.from(new Uint8Array(32).fill(count)),
        some.map((xorb) => [xorb, 0, xorb.chunkLengths.length] as const),
        count === 2 ? new Uint8Array(32).fill(9) : null,
      );
      const shard = { files: [file], xorbs: some, footer: null } as Shard;
      return encodeShard(shard, { variant });
    }),
  );
  const parseShard = (bytes: Uint8Array, random: SplitMix64): void => {
    eitherWay(
      () => decodeShard(bytes),
      () => decodeShard(bytes, { footer: 'ignore', maxBytes: 1 << 20 }),
      () => {
        const reader = createShardReader();
        for (const piece of cut(bytes, random)) reader.push(piece);
        reader.finish();
      },
    );
  };

  const encoder = new TextEncoder();
  const reconstruction = sampleReconstruction();
  const texts = [
    encodeReconstructionV1(reconstruction),
    encodeReconstructionV2(reconstruction),
    {
      totalChunks: 3,
      fileSize: 30_000,
      windows: [{ dirtyByteRange: [0, 9000] }],
      hashRanges: [null, null],
      gapVerification: ['ab'.repeat(32)],
    },
  ].map((json) => encoder.encode(JSON.stringify(json)));
  const decoder = new TextDecoder();
  const parseJson = (bytes: Uint8Array): void => {
    let json: unknown;
    try {
      json = JSON.parse(decoder.decode(bytes));
    } catch {
      return;
    }
    eitherWay(
      () => parseReconstruction(json),
      () => parseFileChunkHashes(json),
    );
  };

  const part = (start: number, end: number): string =>
    `\r\n--b0\r\nContent-Type: x/y\r\nContent-Range: bytes ${start}-${end - 1}/9000\r\n\r\n${'x'.repeat(end - start)}`;
  const bodies = [`${part(0, 50)}${part(300, 1300)}\r\n--b0--\r\n`, `--b0--`, `pre${part(5, 6)}`];
  const parseMultipart = (bytes: Uint8Array, random: SplitMix64): void => {
    const reader = createMultipartReader('b0');
    const text = decoder.decode(bytes);
    multipartBoundary(text);
    parseContentRange(text);
    for (const piece of cut(bytes, random)) reader.push(piece);
  };

  return [
    { name: 'xorb', samples: xorbs.flatMap((each) => [each.bytes, each.stored]), parse: parseXorb },
    { name: 'shard', samples: shards, parse: parseShard },
    { name: 'json', samples: texts, parse: parseJson },
    {
      name: 'multipart',
      samples: bodies.map((text) => encoder.encode(text)),
      parse: parseMultipart,
    },
  ];
}

/** All of them, whatever the others throw; then the first error that was none of ours, else the first. */
function eitherWay(...ways: readonly (() => unknown)[]): void {
  const errors: unknown[] = [];
  for (const way of ways) {
    try {
      way();
    } catch (error) {
      errors.push(error);
    }
  }
  const [first = null] = errors;
  const foreign = errors.find((error) => !isOrbweaverError(error));
  if (foreign !== undefined) throw foreign;
  if (errors.length === ways.length) throw first;
}

/** In up to five pieces. */
function cut(bytes: Uint8Array, random: SplitMix64): Uint8Array[] {
  const count = random.below(5);
  const cuts = Array.from({ length: count }, () => random.below(bytes.length + 1));
  const ends = [...cuts.sort((a, b) => a - b), bytes.length];
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** Numbers that a length, a count or an offset should not be. */
const EXTREMES = [0, 1, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
const TEXTS = ['-1', '1e308', '9007199254740993', 'null', '""', '[]', '{}', '0.5', '[[[[[[[[', '"'];

/** A sample after one to six kinds of damage, one after another. */
function damaged(samples: readonly Uint8Array[], random: SplitMix64): Uint8Array {
  const pick = (): Uint8Array => samples[random.below(samples.length)] as Uint8Array;
  let bytes = Buffer.from(pick());
  const times = 1 + random.below(6);
  for (let step = 0; step < times; step++) {
    const at = random.below(bytes.length + 1);
    const length = random.below(Math.min(bytes.length - at, 300) + 1);
    switch (random.below(9)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
        break;
      case 1:
        if (at < bytes.length) bytes[at] = random.below(256);
        break;
      case 2:
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(EXTREMES[random.below(9)] as number, at);
        break;
      case 3:
        if (at + 8 <= bytes.length) bytes.writeBigUInt64LE(2n ** BigInt(random.below(64)) - 1n, at);
        break;
      case 4:
        bytes = bytes.subarray(0, at);
        break;
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        break;
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
        break;
      case 7: {
        const other = pick();
        const from = random.below(other.length + 1);
        const spliced = other.subarray(from, from + random.below(300));
        bytes = Buffer.concat([bytes.subarray(0, at), spliced, bytes.subarray(at)]);
        break;
      }
      default: {
        // A number of a text becomes another value.
        const text = bytes.toString('latin1', at, at + 40);
        const found = /\d+/.exec(text);
        if (found === null) break;
        const start = at + found.index;
        const value = Buffer.from(TEXTS[random.below(TEXTS.length)] as string);
        const rest = bytes.subarray(start + found[0].length);
        bytes = Buffer.concat([bytes.subarray(0, start), value, rest]);
      }
    }
  }
  // The parser's own memory, exactly as long: reading beyond it must show.
  return new Uint8Array(bytes);
}
