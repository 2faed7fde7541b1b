import type { BlockCodec } from '../compress/ports.js';
import type { Hasher } from '../hash/ports.js';
import { verifyXorb } from '../xorb/index.js';
import type { XorbVerifier } from './ports.js';

/**
 * Verifies on the thread of the caller: right for tests and small gateways. While a xorb of 64 MiB
 * is checked nothing else is answered; a gateway with much to do is given the worker pool instead.
 */
export function createThreadVerifier(parts: { codec: BlockCodec; hasher: Hasher }): XorbVerifier {
  return { verify: async (bytes, expected) => verifyXorb(parts, bytes, expected) };
}
