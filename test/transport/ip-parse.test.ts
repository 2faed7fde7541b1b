import { isIP } from 'node:net';
import { expect, it } from 'vitest';
import { ipAddress } from '../../src/transport/ip-parse.js';

const TEXTS = [
  ...['1.2.3.4', '0.0.0.0', '255.255.255.255', '01.2.3.4', '256.1.1.1', '1.2.3', '1.2.3.4.5', ''],
  ...['::', '::1', '1::', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1::8'],
  ...['::ffff:1.2.3.4', '64:ff9b::1.2.3.4', '1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:7:1.2.3.4'],
  ...[':', ':1', '1:', '1:::2', '1::2::3', '::1:', 'g::', '12345::', '1:2:3:4:5:6:7:8:9'],
  ...['::1.2.3', '::01.2.3.4', '::1.2.3.4:5', '1.2.3.4::', 'example.com', '[::1]', '0x7f.1'],
];

it.each(TEXTS)('takes "%s" for an address where the system does', (text) => {
  expect(ipAddress(text) !== null).toBe(isIP(text) !== 0);
});

it('reads the bits', () => {
  expect(ipAddress('127.0.0.1')).toBe(0xffff_7f00_0001n);
  expect(ipAddress('::ffff:127.0.0.1')).toBe(ipAddress('127.0.0.1'));
  expect(ipAddress('2001:db8::1')).toBe(0x20010db8_00000000_00000000_00000001n);
  expect(ipAddress('1::')).toBe(1n << 112n);
});
