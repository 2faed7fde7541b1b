import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { GEAR_TABLE } from '../../src/chunker/index.js';
import { readJsonFixture, vectorOf } from '../support/vectors.js';

describe('gear table', () => {
  it('is the table of the protocol', () => {
    expect(Array.from(GEAR_TABLE, (value) => `0x${value.toString(16).padStart(16, '0')}`)).toEqual(
      readJsonFixture<string[]>('gear-table.json'),
    );
  });

  it('has the known SHA-256', () => {
    const bytes = new Uint8Array(2048);
    const view = new DataView(bytes.buffer);
    GEAR_TABLE.forEach((value, i) => {
      view.setBigUint64(8 * i, value, true);
    });
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      vectorOf('gear', 'table').expected.sha256_le,
    );
  });
});
