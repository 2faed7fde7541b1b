import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { createTableCrc } from '../../src/archive/table-crc.js';

describe('the CRC-32 by tables', () => {
  it('is that of zlib, whatever the pieces are and wherever they begin', () => {
    const bytes = new Uint8Array(1000).map((_, i) => (i * i * 31 + 7) & 255);
    const create = createTableCrc();
    for (const length of [0, 1, 7, 8, 9, 16, 255, 983]) {
      for (const start of [0, 1, 3, 17]) {
        const data = bytes.subarray(start, start + length);
        const whole = create();
        whole.update(data);
        expect(whole.finish()).toBe(crc32(data));
        const pieces = create();
        for (let at = 0; at < length; at += 13) pieces.update(data.subarray(at, at + 13));
        expect(pieces.finish()).toBe(crc32(data));
        expect(pieces.sizeBytes).toBe(length);
      }
    }
  });
});
