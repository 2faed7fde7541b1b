import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../src/bytes/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import { createMemoryStore } from '../../src/gateway/index.js';
import {
  decodeFileEntry,
  encodeChunkEntry,
  encodeFileEntry,
  encodeObjectEntry,
  entriesOf,
  type TableEntry,
} from '../../src/gateway/tables/entries.js';
import { CHUNKS, decodeFooter, decodeTrailer, FILES } from '../../src/gateway/tables/format.js';
import { putTable } from '../../src/gateway/tables/put.js';
import { createTableReader } from '../../src/gateway/tables/read.js';
import { MerkleHash } from '../../src/hash/index.js';
import type { ShardFile } from '../../src/shard/index.js';
import { hasher } from './support/rig.js';

/** What one upload of the index's tables writes is read again, and nothing else is. */

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const hash = bytes32.map((bytes) => MerkleHash.from(bytes));
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const stamp = fc.record({ shard: hash, createdMs: fc.integer({ min: 0, max: 2 ** 45 }) });
const term = fc.record({ xorb: hash, chunkStart: u32, chunkEnd: u32, unpackedBytes: u32 });
const file: fc.Arbitrary<ShardFile> = fc
  .record({
    hash,
    terms: fc.array(term, { maxLength: 5 }),
    sha256: fc.option(bytes32, { nil: null }),
    isVerified: fc.boolean(),
  })
  .map(({ isVerified, ...rest }) => ({
    ...rest,
    verification: isVerified ? rest.terms.map(({ xorb }) => xorb) : null,
  }));

describe('an entry', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(file, stamp, (record, of) => {
        const sizeBytes = record.terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
        const read = decodeFileEntry(record.hash, encodeFileEntry(of, record));
        expect(read).toEqual({ ...of, sizeBytes, file: record });
        const elsewhere = { ...of, sizeBytes };
        expect(decodeFileEntry(record.hash, encodeObjectEntry(elsewhere))).toEqual({
          ...elsewhere,
          file: null,
        });
      }),
      { numRuns: 50 },
    );
  });

  it('that is anything else is an error, never more memory than it has bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        file,
        stamp,
        fc.nat(),
        (junk, record, of, at) => {
          const good = encodeFileEntry(of, record);
          for (const bytes of [
            junk,
            good.subarray(0, at % good.length),
            concatBytes([good, junk]),
          ]) {
            try {
              decodeFileEntry(record.hash, bytes);
            } catch (error) {
              expect(isOrbweaverError(error)).toBe(true);
            }
            try {
              for (const { key, value } of entriesOf(bytes)) {
                expect(key.length).toBe(32);
                expect(value.length).toBeLessThanOrEqual(bytes.length);
              }
            } catch (error) {
              expect(isOrbweaverError(error)).toBe(true);
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

/** Keys that share their first bytes, as well as others. */
const key = fc.oneof(
  bytes32,
  fc.integer({ min: 0, max: 3 }).map((last) => new Uint8Array(32).fill(7).fill(last, 31)),
);
const value = fc.uint8Array({ maxLength: 60 });
const entries = fc.array(fc.record({ key, value }), { maxLength: 40 });

async function stored(files: TableEntry[], chunks: TableEntry[]) {
  const store = createMemoryStore();
  const table = await putTable({ store, hasher }, files, chunks);
  const reader = createTableReader({ store, hasher, cacheBytes: 1 << 20 });
  return { store, table, reader };
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a table', () => {
  it('finds every entry, and nothing that is not in it', async () => {
    await fc.assert(
      fc.asyncProperty(entries, entries, key, async (files, chunks, other) => {
        const { table, reader } = await stored(files, chunks);
        for (const [section, list] of [
          [FILES, files],
          [CHUNKS, chunks],
        ] as const) {
          for (const asked of [...list.map((entry) => entry.key), other]) {
            const expected = list.filter((entry) => textOf(entry.key) === textOf(asked));
            const found = await reader.lookUp(table.key, section, asked);
            expect(found?.map(textOf).sort()).toEqual(
              expected.map((entry) => textOf(entry.value)).sort(),
            );
          }
          const all: string[] = [];
          for await (const page of reader.scan(table.key, section)) {
            for (const entry of page) all.push(textOf(entry.key));
          }
          expect(all).toEqual(list.map((entry) => textOf(entry.key)).sort());
          expect(await reader.count(table.key, section)).toBe(list.length);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('has the same name and bytes whatever the order of its entries', async () => {
    const list = Array.from({ length: 50 }, (_, at) => ({
      key: new Uint8Array(32).fill(at * 5),
      value: Uint8Array.of(at),
    }));
    const one = await stored(list, list);
    const two = await stored([...list].reverse(), [...list].reverse());
    expect(two.table).toEqual(one.table);
    const again = await putTable({ store: one.store, hasher }, list, list);
    expect(again).toEqual(one.table);
  });

  /** Thousands of entries: many pages, and a chunk whose entries fill more than one. */
  const many = Array.from({ length: 3000 }, (_, at) => {
    const bytes = new Uint8Array(32).fill(at & 255, 8);
    new DataView(bytes.buffer).setUint32(0, Math.imul(at, 0x9e3779b1) >>> 0);
    return { key: bytes, value: new Uint8Array(40).fill(at) };
  });
  const crowd = Array.from({ length: 600 }, (_, at) => ({
    key: new Uint8Array(32).fill(77),
    value: encodeChunkEntry({
      shard: MerkleHash.from(new Uint8Array(32).fill(at & 255).fill(at >> 8, 0, 1)),
      createdMs: at,
    }),
  }));

  it('of many pages is read by the page', async () => {
    const { store, table } = await stored(many, [...many.slice(0, 500), ...crowd]);
    let readBytes = 0;
    const counted = {
      ...store,
      read: async (name: string, range?: { start: number; end: number }) => {
        readBytes += range === undefined ? Number.NaN : range.end - range.start;
        return store.read(name, range);
      },
    };
    const reader = createTableReader({ store: counted, hasher, cacheBytes: 1 << 20 });
    expect(await reader.lookUp(table.key, FILES, many[5]?.key as Uint8Array)).toHaveLength(1);
    expect(readBytes).toBeLessThan(32 * 1024 + 16 * 1024 + 16 * 1024 + 1);
    const found = await reader.lookUp(table.key, CHUNKS, crowd[0]?.key as Uint8Array);
    expect(found).toHaveLength(crowd.length);
    let misses = 0;
    for (let at = 0; at < 2000; at++) {
      const absent = new Uint8Array(32).map((_, index) => Math.imul(at + 1, index + 77) >>> 3);
      const before = readBytes;
      expect(await reader.lookUp(table.key, FILES, absent)).toEqual([]);
      if (readBytes > before) misses++;
    }
    expect(misses).toBeLessThan(40);
    expect(reader.usedBytes).toBeLessThanOrEqual(1 << 20);
  });

  it('that is damaged anywhere is damage where that is looked at, and right elsewhere', async () => {
    const { store, table } = await stored(many.slice(0, 400), crowd.slice(0, 10));
    const good = (await store.read(table.key)) as Uint8Array;
    const footer = decodeTrailer(good.subarray(-36), good.length);
    expect(decodeFooter(hasher, good.subarray(-36 - footer), good.length)[FILES].entryCount).toBe(
      400,
    );
    for (let at = 0; at < good.length; at += 997) {
      const bad = good.slice();
      bad[at] = (bad[at] as number) ^ 16;
      await store.put(table.key, bad, { replace: true });
      const reader = createTableReader({ store, hasher, cacheBytes: 1 << 20 });
      for (const entry of [many[0], many[200], many[399]] as TableEntry[]) {
        const found = await reader.lookUp(table.key, FILES, entry.key).catch((error) => {
          expect(error).toMatchObject({ code: 'INTEGRITY' });
          return [entry.value];
        });
        expect(found?.map(textOf)).toEqual([textOf(entry.value)]);
      }
    }
    for (const length of [0, 1, 35, 36, 37, good.length - 1]) {
      await store.put(table.key, good.slice(0, length), { replace: true });
      const reader = createTableReader({ store, hasher, cacheBytes: 1 << 20 });
      const looked = reader.lookUp(table.key, FILES, many[0]?.key as Uint8Array);
      await expect(looked).rejects.toMatchObject({ code: 'INTEGRITY' });
    }
  });

  it('of whose footer any byte is another one, with a right check sum, is read or refused', async () => {
    const { store, table } = await stored(many.slice(0, 1000), crowd);
    const good = (await store.read(table.key)) as Uint8Array;
    const footerBytes = decodeTrailer(good.subarray(-36), good.length);
    const end = good.subarray(-36 - footerBytes);
    const sum = new Uint8Array(32);
    for (let at = 0; at < footerBytes; at++) {
      for (const flip of [1, 0x80, 0xff]) {
        const bad = end.slice();
        bad[at] = (bad[at] as number) ^ flip;
        const key = new TextEncoder().encode('orbweaver gateway: index table 1');
        hasher.keyed(key, bad.subarray(0, footerBytes), sum, 0);
        bad.set(sum.subarray(0, 16), footerBytes + 4);
        try {
          const [files, chunks] = decodeFooter(hasher, bad, good.length);
          for (const { pageCount, pageStarts, filterStart, filterLines } of [files, chunks]) {
            expect(pageStarts[pageCount]).toBe(filterStart);
            expect(filterStart + filterLines * 64).toBeLessThanOrEqual(good.length - end.length);
          }
        } catch (error) {
          expect(isOrbweaverError(error)).toBe(true);
        }
      }
    }
  });

  it('whose footer claims what cannot be is refused before anything of that size is made', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 36, maxLength: 400 }),
        fc.nat(),
        (bytes, tableBytes) => {
          for (const run of [
            () => decodeTrailer(bytes.subarray(-36), tableBytes),
            () => decodeFooter(hasher, bytes, tableBytes),
          ]) {
            try {
              run();
            } catch (error) {
              expect(isOrbweaverError(error)).toBe(true);
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
