import { describe, it } from 'vitest';
import { generate } from '../support/generators.js';
import { checkNativeFile } from '../support/native-check.js';
import { tiersUnderTest } from '../support/tiers.js';
import { nativeSessions } from '../support/vectors.js';

/** The sessions that are too large for the quick suite, on every tier; CI leaves out the slow one. */
const tiers = tiersUnderTest().filter(
  ({ isReadable }) => !isReadable || process.env['CI'] === undefined,
);

describe.each(
  nativeSessions().filter((session) => session.files.some((file) => file.bytes > 25_000_000)),
)('native session $id', (session) => {
  it.each(tiers)('is met by tier $name', async (tier) => {
    const kernels = await tier.create();
    for (const file of session.files) checkNativeFile(kernels, file, generate(file.spec));
  });
});
