import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../src/bytes/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  createShardReader,
  decodeShard,
  encodeShard,
  RECORD_BYTES,
  type ShardEvent,
  type ShardReaderOptions,
} from '../../src/shard/index.js';
import { arbitraryShard, hashOf, sampleShard, sections } from './samples.js';

const PROPERTY = { numRuns: 60, seed: 20260903 };

function readPieces(pieces: readonly Uint8Array[], options: ShardReaderOptions = {}): ShardEvent[] {
  const reader = createShardReader(options);
  const events: ShardEvent[] = [];
  for (const piece of pieces) events.push(...reader.push(piece));
  return [...events, ...reader.finish()];
}

/** What the events add up to, in plain values. */
function summary(events: readonly ShardEvent[]): unknown {
  const shard = {
    files: events.flatMap((event) => (event.type === 'file' ? [event.file] : [])),
    xorbs: events.flatMap((event) => (event.type === 'xorb' ? [event.xorb] : [])),
    footer: null,
  };
  return [sections(shard), events.map((event) => event.type)];
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (isOrbweaverError(error)) return error.code;
    throw error;
  }
  return 'none';
}

const upload = encodeShard(sampleShard(), { variant: 'upload' });
const local = encodeShard(sampleShard(), { variant: 'local', createdAt: 5, expiresAt: 6 });

describe('reading a shard', () => {
  it('gives back what was written, in every variant', () => {
    void fc.assert(
      fc.property(arbitraryShard(true), (shard) => {
        for (const variant of ['local', 'stored'] as const) {
          const back = decodeShard(encodeShard(shard, { variant }));
          expect(back.footer).not.toBeNull();
          if (variant === 'local') expect(sections(back)).toEqual(sections(shard));
        }
        const bytes = encodeShard(shard, { variant: 'upload' });
        const back = decodeShard(bytes);
        expect(back.footer).toBeNull();
        expect(encodeShard(back, { variant: 'upload' })).toEqual(bytes);
      }),
      PROPERTY,
    );
  });

  it('keeps files without verification hashes', () => {
    void fc.assert(
      fc.property(arbitraryShard(false), (shard) => {
        const back = decodeShard(encodeShard(shard, { variant: 'stored' }));
        expect(back.files.every((file) => file.verification === null)).toBe(true);
        expect(back.files.map((file) => file.terms)).toEqual(shard.files.map((file) => file.terms));
      }),
      { ...PROPERTY, numRuns: 20 },
    );
  });

  it('is the same in one piece, byte by byte, and in any slices', () => {
    for (const bytes of [upload, local]) {
      const whole = summary(readPieces([bytes]));
      expect(summary(readPieces(Array.from(bytes, (byte) => Uint8Array.of(byte))))).toEqual(whole);
      void fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 12 }),
          (at) => {
            const cuts = [0, ...at.sort((a, b) => a - b), bytes.length];
            const pieces = cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end));
            expect(summary(readPieces(pieces))).toEqual(whole);
          },
        ),
        PROPERTY,
      );
    }
  });

  it('gives each file and xorb as soon as its last byte is there', () => {
    const reader = createShardReader();
    const seen: string[] = [];
    for (const byte of upload) {
      for (const event of reader.push(Uint8Array.of(byte))) {
        seen.push(event.type);
      }
    }
    expect(seen).toEqual(['file', 'file', 'file', 'xorb', 'xorb']);
    expect(reader.finish()).toEqual([]);
  });

  it('ignores whatever follows the xorb section when no footer is announced', () => {
    const junk = new Uint8Array(1000).fill(0xa5);
    const shard = decodeShard(concatBytes([upload, junk]));
    expect(sections(shard)).toEqual(sections(decodeShard(upload)));
    expect(shard.footer).toBeNull();
  });

  it('ignores an announced footer on request, also when it is missing or odd', () => {
    const sectionsEnd = decodeShard(local).footer?.fileLookupOffset ?? 0;
    const cut = local.subarray(0, sectionsEnd);
    expect(codeOf(() => decodeShard(cut))).toBe('TRUNCATED');
    expect(decodeShard(cut, { footer: 'ignore' }).footer).toBeNull();
    const odd = concatBytes([cut, new Uint8Array(200)]);
    expect(codeOf(() => decodeShard(odd))).toBe('UNSUPPORTED');
    expect(sections(decodeShard(odd, { footer: 'ignore' }))).toEqual(sections(decodeShard(local)));
  });

  it('reads a footer whose lookup offsets are zero, as two other clients write it', () => {
    const stored = encodeShard(sampleShard(), { variant: 'stored' }).slice();
    stored.fill(0, stored.length - 200 + 24, stored.length - 200 + 72);
    const shard = decodeShard(stored);
    expect(shard.footer?.chunkLookupOffset).toBe(0);
    expect(shard.xorbs).toHaveLength(2);
  });

  it('keeps the first of two files or xorbs with one hash', () => {
    const shard = sampleShard();
    const [, file] = shard.files;
    const [xorb] = shard.xorbs;
    if (file === undefined || xorb === undefined) throw new Error('sample');
    const other = encodeShard(
      {
        files: [{ ...file, terms: file.terms.slice(0, 1), verification: [hashOf(9)] }],
        xorbs: [{ ...xorb, serializedBytes: 1 }],
        footer: null,
      },
      { variant: 'upload' },
    );
    const bytes = splice(upload, other);
    const back = decodeShard(bytes);
    expect(back.files).toHaveLength(shard.files.length);
    expect(back.xorbs).toHaveLength(shard.xorbs.length);
    expect(sections(back)).toEqual(sections(decodeShard(upload)));
    expect(readPieces([bytes]).length).toBe(back.files.length + back.xorbs.length + 2);
  });

  it('refuses a mixture of files with and without verification', () => {
    const { files } = sampleShard();
    const [, file] = files;
    if (file === undefined) throw new Error('sample');
    const bare = { ...file, hash: hashOf(77), verification: null };
    const other = encodeShard({ files: [bare], xorbs: [], footer: null }, { variant: 'stored' });
    expect(codeOf(() => decodeShard(splice(upload, other)))).toBe('FORMAT_INVALID');
  });
});

describe('hostile shards', () => {
  it('answers truncation at each byte with TRUNCATED', () => {
    for (const bytes of [upload, local]) {
      for (let end = 0; end < bytes.length; end++) {
        const code = codeOf(() => decodeShard(bytes.subarray(0, end)));
        // Inside the tables the last 200 bytes are no footer, which shows as its version.
        expect(['TRUNCATED', 'UNSUPPORTED', 'LIMIT_EXCEEDED']).toContain(code);
        if (bytes === upload) expect(code).toBe('TRUNCATED');
      }
    }
  });

  it('answers flipped bits with a code or another shard, never with another error', () => {
    for (const bytes of [upload, local]) {
      const copy = bytes.slice();
      for (let bit = 0; bit < bytes.length * 8; bit += 3) {
        copy[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        codeOf(() => decodeShard(copy));
        copy[bit >> 3] = bytes[bit >> 3] as number;
      }
    }
  });

  it('refuses absurd counts as soon as the record header is there', () => {
    for (const section of ['files', 'xorbs'] as const) {
      for (const count of [0xffffffff, 0x7fffffff, 1 << 26]) {
        const header = new Uint8Array(RECORD_BYTES);
        header.set(hashOf(1).bytes);
        const view = new DataView(header.buffer);
        view.setUint32(32, section === 'files' ? 0xc0000000 : 0, true);
        view.setUint32(36, count, true);
        const reader = createShardReader();
        reader.push(upload.subarray(0, RECORD_BYTES));
        if (section === 'xorbs') reader.push(new Uint8Array(RECORD_BYTES).fill(0xff));
        expect(codeOf(() => reader.push(header))).toBe('LIMIT_EXCEEDED');
      }
    }
  });

  it('holds no more than came, whatever a record claims within the budget', () => {
    const header = new Uint8Array(RECORD_BYTES);
    header.set(hashOf(1).bytes);
    new DataView(header.buffer).setUint32(36, 1_000_000, true);
    const readers = Array.from({ length: 2000 }, () => {
      const reader = createShardReader();
      reader.push(upload.subarray(0, RECORD_BYTES));
      reader.push(header);
      return reader;
    });
    // 2000 claims of 48 MB: had one of them been allocated up front, this would not be reached.
    for (const reader of readers) expect(codeOf(() => reader.finish())).toBe('TRUNCATED');
  });

  it('keeps to its budget and takes exactly as much', () => {
    const end = upload.length;
    expect(decodeShard(upload, { maxBytes: end }).files).toHaveLength(3);
    for (const maxBytes of [47, 48, 95, 100, end - 48, end - 1]) {
      expect(codeOf(() => decodeShard(upload, { maxBytes }))).toBe('LIMIT_EXCEEDED');
    }
  });

  it('refuses chunk lengths and terms that cannot be', () => {
    const fileAt = 48 + 48; // the empty file comes first
    const empty = upload.slice();
    new DataView(empty.buffer).setUint32(fileAt + 48 + 44, 0, true);
    expect(codeOf(() => decodeShard(empty))).toBe('FORMAT_INVALID');
    const xorbAt = local.length;
    expect(xorbAt).toBeGreaterThan(0);
    const { footer } = decodeShard(local);
    for (const length of [0, 131073]) {
      const bad = local.slice();
      new DataView(bad.buffer).setUint32((footer?.xorbSectionOffset ?? 0) + 48 + 36, length, true);
      expect(codeOf(() => decodeShard(bad))).toBe('LIMIT_EXCEEDED');
    }
  });

  it('refuses another tag, version or footer size', () => {
    for (const [at, code] of [
      [0, 'FORMAT_INVALID'],
      [31, 'FORMAT_INVALID'],
      [32, 'UNSUPPORTED'],
      [40, 'FORMAT_INVALID'],
    ] as const) {
      const bad = upload.slice();
      bad[at] = (bad[at] as number) ^ 1;
      expect(codeOf(() => decodeShard(bad))).toBe(code);
    }
  });

  it('survives random bytes behind a valid header', () => {
    void fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (body) => {
        codeOf(() => decodeShard(concatBytes([upload.subarray(0, 48), body])));
      }),
      { ...PROPERTY, numRuns: 200 },
    );
  });
});

/** Two upload bodies as one: the files and xorbs of the second behind those of the first. */
function splice(first: Uint8Array, second: Uint8Array): Uint8Array {
  const [a, b] = [split(first), split(second)];
  const bookend = new Uint8Array(48).fill(0xff, 0, 32);
  return concatBytes([a.header, a.files, b.files, bookend, a.xorbs, b.xorbs, bookend]);
}

function split(bytes: Uint8Array): { header: Uint8Array; files: Uint8Array; xorbs: Uint8Array } {
  const ends: number[] = [];
  for (let at = 48; at + 48 <= bytes.length && ends.length < 2; at += 48) {
    const isEnd = MerkleHash.from(bytes, at).bytes.every((byte) => byte === 0xff);
    if (isEnd) ends.push(at);
  }
  const [files, xorbs] = ends as [number, number];
  const header = bytes.slice(0, 48);
  header.fill(0, 40); // no footer
  return { header, files: bytes.subarray(48, files), xorbs: bytes.subarray(files + 48, xorbs) };
}
