import type { BlockCodec } from '../compress/ports.js';
import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { verifyXorb } from '../xorb/index.js';
import type { Clock, RandomBytes, VerifiedXorb, XorbVerifier } from './ports.js';

/** The ports as any JavaScript platform with web globals provides them. */

/** The time of the machine. */
export function createSystemClock(): Clock {
  return {
    nowMs: () => Date.now(),
    setTimer(delayMs: number, callback: () => void): () => void {
      const timer = setTimeout(callback, delayMs);
      return () => clearTimeout(timer);
    },
  };
}

/** Random bytes of the platform's generator for keys. */
export function createRandomBytes(): RandomBytes {
  return (lengthBytes) => globalThis.crypto.getRandomValues(new Uint8Array(lengthBytes));
}

/**
 * Verifies on the thread of the caller: right for tests and small gateways. While a xorb of 64 MiB
 * is checked nothing else is answered; a gateway with much to do is given the worker pool instead.
 */
export function createThreadVerifier(parts: { codec: BlockCodec; hasher: Hasher }): XorbVerifier {
  return {
    async verify(bytes: Uint8Array, expected?: MerkleHash): Promise<VerifiedXorb> {
      return verifyXorb(parts, bytes, expected);
    },
  };
}
