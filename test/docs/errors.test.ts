import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES, isOrbweaverError, OrbweaverError } from '../../src/errors.js';

describe('the table of errors', () => {
  it('is the same in docs/errors.md, in the same order', () => {
    const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
    const documented = [
      ...text.matchAll(/^\| `([A-Z_]+)` \| (.*) \| (.*) \| (yes|no) \| (\d+) \|$/gm),
    ].map(([, code, sentence, hint, retryable, exitCode]) => ({
      code,
      sentence,
      hint,
      retryable: retryable === 'yes',
      exitCode: Number(exitCode),
    }));
    const inCode = Object.entries(ERROR_CODES).map(([code, info]) => ({ code, ...info }));
    expect(documented).toEqual(inCode);
  });

  it('has one-line sentences and hints that end with a full stop', () => {
    for (const [code, { sentence, hint }] of Object.entries(ERROR_CODES)) {
      expect(sentence, code).toMatch(/^[^\n]+\.$/);
      expect(hint, code).toMatch(/^[^\n]+\.$/);
    }
  });

  it('knows an error of another copy of the package by its code', () => {
    const foreign = Object.assign(new Error('x'), { name: 'OrbweaverError', code: 'NETWORK' });
    expect(isOrbweaverError(foreign)).toBe(true);
    expect(isOrbweaverError(Object.assign(new Error('x'), { code: 'NETWORK' }))).toBe(false);
    expect(isOrbweaverError(new OrbweaverError('NETWORK', 'gone'))).toBe(true);
  });
});
