import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Crc64Nvme, crc64nvme } from '../../src/hash/index.js';
import { createCrc64 } from '../../src/kernels/index.js';
import { generate } from '../support/generators.js';

/** The definition, bit by bit. */
function bitwise(bytes: Uint8Array): bigint {
  let crc = 0xffff_ffff_ffff_ffffn;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0x9a6c_9329_ac4b_c9b5n : crc >> 1n;
    }
  }
  return crc ^ 0xffff_ffff_ffff_ffffn;
}

describe('CRC-64/NVME', () => {
  // Origin of the values: the protocol's page on upload grants; the second is the catalogue's check.
  it.each([
    ['nothing', new Uint8Array(0), 0n],
    ['123456789', Uint8Array.from('123456789', (c) => c.charCodeAt(0)), 12577168950296156296n],
    ['32 zero bytes', new Uint8Array(32), 14930685397537050427n],
    ['32 bytes 0xff', new Uint8Array(32).fill(255), 11574366992555926468n],
    ['bytes 0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 13391968786210143615n],
  ])('gives the known value of %s', (_, bytes, value) => {
    expect(crc64nvme(bytes)).toBe(value);
  });

  it('equals the bitwise definition at every length around the steps of eight', () => {
    const data = generate({ kind: 'splitmix64', seed: 12, bytes: 80 });
    for (let length = 0; length <= data.length; length++) {
      const bytes = data.subarray(length & 7, length);
      expect(crc64nvme(bytes), `${length}`).toBe(bitwise(bytes));
    }
  });

  it('is the same by the kernel that uploads use, of memory that is shared as well', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(100_001));
    shared.set(generate({ kind: 'splitmix64', seed: 14, bytes: shared.length }));
    for (const length of [0, 1, 7, 8, 16_384, 65_537, 100_001]) {
      const crc = await createCrc64();
      const bytes = shared.subarray(0, length);
      crc.update(bytes.subarray(0, length >> 1));
      crc.update(bytes.subarray(length >> 1));
      expect(crc.digest(), `${length}`).toBe(crc64nvme(bytes));
    }
  });

  it('gives the same value for any split, and after asking in between', () => {
    const data = generate({ kind: 'words', seed: 13, bytes: 3000 });
    const whole = crc64nvme(data);
    fc.assert(
      fc.property(fc.array(fc.nat(data.length), { maxLength: 12 }), (cuts) => {
        const crc = new Crc64Nvme();
        let at = 0;
        for (const cut of [...cuts.sort((a, b) => a - b), data.length]) {
          crc.update(data.subarray(at, cut));
          crc.digest();
          at = cut;
        }
        expect(crc.digest()).toBe(whole);
      }),
      { seed: 2, numRuns: 50 },
    );
  });
});
