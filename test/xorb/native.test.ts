import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import {
  createRecordDecoder,
  decodeFooter,
  encodeFooter,
  readRecordHeader,
  readStoredXorb,
  verifyXorb,
  XorbBuilder,
  XorbReader,
} from '../../src/xorb/index.js';
import { generate } from '../support/generators.js';
import { nativeBytes, readFixture } from '../support/vectors.js';
import { codec, concat, hasher, hex, options } from './support.js';

/** Real bytes of the native client: one xorb as it was sent and as it was stored. */
const session = nativeBytes();
const upload = readFixture('native/upload.xorb');
const stored = readFixture('native/stored.xorb');
const files = session.files.map((file) => generate(file.spec));
const raw = concat(files);

describe('the xorb of the native client', () => {
  test('decodes to the generated files, and every chunk has its length and hash', () => {
    const output = new Uint8Array(raw.length);
    const decoder = createRecordDecoder({ codec, hasher });
    const { lengths, hashes } = decoder.decode(upload, 0, upload.length, output, 0, raw.length);
    expect(Buffer.compare(output, raw)).toBe(0);
    expect([...lengths]).toEqual(session.files.flatMap((file) => file.chunk_lengths ?? []));
    for (const file of session.files) {
      const [term] = file.terms;
      const part =
        term === undefined ? new Uint8Array(0) : hashes.subarray(32 * term[2], 32 * term[3]);
      expect(createHash('sha256').update(part).digest('hex')).toBe(file.chunk_hashes_sha256);
    }
  });

  test('is verified under its name, as sent and as stored', () => {
    const name = MerkleHash.parse(session.stored_xorb);
    const sent = verifyXorb(options, upload, name);
    const kept = verifyXorb({ ...options, footer: 'check' }, stored, name);
    expect(sent.recordsBytes).toBe(upload.length);
    expect(kept.recordsBytes).toBe(upload.length);
    expect(kept.recordEnds).toEqual(sent.recordEnds);
  });

  test('has the schemes that it says', () => {
    const { rawEnds, recordEnds } = readStoredXorb(stored);
    const counts = [0, 0, 0];
    recordEnds.forEach((_end, i) => {
      const { scheme } = readRecordHeader(stored, i === 0 ? 0 : (recordEnds[i - 1] as number));
      counts[scheme] = (counts[scheme] as number) + 1;
    });
    expect(counts).toEqual(session.xorbs[session.stored_xorb]?.schemes);
    expect(rawEnds[rawEnds.length - 1]).toBe(raw.length);
  });

  test('its footer decodes and encodes again to the same bytes', () => {
    const footer = decodeFooter(stored);
    expect(footer.version).toBe(1);
    expect(footer.hash.toString()).toBe(session.stored_xorb);
    const again = encodeFooter(readStoredXorb(stored));
    expect(hex(again)).toBe(hex(stored.subarray(stored.length - footer.footerBytes)));
    expect(hex(encodeFooter(verifyXorb(options, upload)))).toBe(hex(again));
  });

  test('any range of its chunks is read', () => {
    const reader = new XorbReader(options, readStoredXorb(stored));
    for (const [start, end] of [
      [0, 3],
      [3, 6],
      [6, 7],
      [7, 9],
      [9, 10],
      [2, 8],
    ] as const) {
      const bytes = reader.byteRange(start, end);
      const part = reader.rawRange(start, end);
      const found = reader.decode(stored.subarray(bytes.start, bytes.end), start, end);
      expect(Buffer.compare(found, raw.subarray(part.start, part.end))).toBe(0);
    }
  });

  test('ours of the same chunks has the same name and is not larger', () => {
    const { rawEnds } = readStoredXorb(stored);
    const builder = new XorbBuilder(options);
    let at = 0;
    for (const end of rawEnds) {
      builder.add(raw.subarray(at, end));
      at = end;
    }
    const ours = builder.finish();
    expect(String(ours?.hash)).toBe(session.stored_xorb);
    // LZ4 encoders differ in their search: within 2 %.
    expect(ours?.bytes.length).toBeLessThan(upload.length * 1.02);
  });
});
