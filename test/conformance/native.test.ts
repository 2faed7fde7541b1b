import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Kernels } from '../../src/kernels/index.js';
import { generate } from '../support/generators.js';
import { checkNativeFile } from '../support/native-check.js';
import { tiersUnderTest } from '../support/tiers.js';
import { nativeBytes, nativeSessions } from '../support/vectors.js';

/** What the native client made of known inputs, on every tier. What is longer is in `test/slow/native.test.ts`. */

const LIMIT_BYTES = 25_000_000;

const tiers = tiersUnderTest();
let kernelsOf: Kernels[] = [];

beforeAll(async () => {
  kernelsOf = await Promise.all(tiers.map((tier) => tier.create()));
});

it('has all 20 sessions', () => {
  expect(nativeSessions()).toHaveLength(20);
});

const quickSessions = [...nativeSessions(), nativeBytes()].filter((session) =>
  session.files.some((file) => file.bytes <= LIMIT_BYTES),
);

describe.each(quickSessions)('native session $id', (session) => {
  // Generated once for all tiers, and let go before the next session.
  const made = new Map<string, Uint8Array>();

  afterAll(() => {
    made.clear();
  });

  for (const [i, tier] of tiers.entries()) {
    const files = session.files.filter((file) => file.bytes <= LIMIT_BYTES);
    if (files.length === 0) continue;
    it(`is met by tier ${tier.name}`, () => {
      for (const file of files) {
        const key = JSON.stringify(file.spec);
        const data = made.get(key) ?? generate(file.spec);
        made.set(key, data);
        checkNativeFile(kernelsOf[i] as Kernels, file, data);
      }
    });
  }
});
