import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  backoffMs,
  codeOfStatus,
  DEFAULT_RETRY,
  isTransient,
  requestedPauseMs,
  verdictOfStatus,
} from '../../src/transport/retry-table.js';

describe('the retry table', () => {
  it.each([
    [200, 'success', 'PROTOCOL'],
    [206, 'success', 'PROTOCOL'],
    [301, 'final', 'PROTOCOL'],
    [304, 'final', 'PROTOCOL'],
    [400, 'final', 'REJECTED'],
    [401, 'refresh-token', 'AUTH_REQUIRED'],
    [403, 'final', 'FORBIDDEN'],
    [404, 'final', 'NOT_FOUND'],
    [408, 'retry', 'SERVER_ERROR'],
    [409, 'final', 'REJECTED'],
    [410, 'final', 'NOT_FOUND'],
    [412, 'final', 'REJECTED'],
    [413, 'final', 'REJECTED'],
    [416, 'final', 'REJECTED'],
    [425, 'retry', 'SERVER_ERROR'],
    [429, 'retry', 'RATE_LIMITED'],
    [500, 'retry', 'SERVER_ERROR'],
    [501, 'final', 'PROTOCOL'],
    [502, 'retry', 'SERVER_ERROR'],
    [503, 'retry', 'SERVER_ERROR'],
    [504, 'retry', 'SERVER_ERROR'],
    [507, 'final', 'DISK_FULL'],
    [599, 'retry', 'SERVER_ERROR'],
  ])('%i is %s, reported as %s', (status, verdict, code) => {
    expect(verdictOfStatus(status)).toBe(verdict);
    if (verdict !== 'success') expect(codeOfStatus(status)).toBe(code);
  });

  it.each([
    ['ECONNRESET', true],
    ['ECONNREFUSED', true],
    ['EPIPE', true],
    ['UND_ERR_SOCKET', true],
    ['UND_ERR_CONNECT_TIMEOUT', true],
    ['EAI_AGAIN', true],
    ['CERT_HAS_EXPIRED', false],
    ['ERR_TLS_CERT_ALTNAME_INVALID', false],
    ['HPE_INVALID_CONSTANT', false],
    ['UND_ERR_INVALID_ARG', false],
    ['', false],
  ])('%s is transient: %s', (code, transient) => {
    expect(isTransient(code)).toBe(transient);
  });

  it('draws delays from the full width below a doubling, capped ceiling', () => {
    fc.assert(
      fc.property(fc.nat(100), fc.double({ min: 0, max: 0.999999, noNaN: true }), (retry, r) => {
        const ceiling = Math.min(60_000, 1000 * 2 ** retry);
        const delay = backoffMs(retry, () => r, DEFAULT_RETRY);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThan(ceiling);
        expect(delay).toBe(Math.floor(r * ceiling));
      }),
      { numRuns: 200, seed: 2 },
    );
    expect(backoffMs(3, () => 0, DEFAULT_RETRY)).toBe(0);
  });

  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': ' 0.5 ' }, 500],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, null],
    [{ ratelimit: '"api";r=0;t=12' }, 12_000],
    [{ ratelimit: '"api";t=12' }, 12_000],
    [
      { ratelimit: '"api";r=899;t=12', 'ratelimit-policy': '"fixed window";"api";q=1000;w=300' },
      null,
    ],
    [{ 'x-ratelimit-reset': '9', 'x-ratelimit-remaining': '3' }, null],
    [{ 'x-ratelimit-reset': '9', 'x-ratelimit-remaining': '0' }, 9000],
    [{ 'ratelimit-reset': '9' }, 9000],
    [{ 'x-ratelimit-reset': String(now / 1000 + 4) }, 4000],
    [{ 'x-ratelimit-reset': 'x' }, null],
    [{}, null],
  ] as [Record<string, string>, number | null][])('reads the pause %j asks for', (headers, ms) => {
    expect(requestedPauseMs(headers, now)).toBe(ms);
  });
});
