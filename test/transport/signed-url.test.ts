import { describe, expect, it } from 'vitest';
import { isExpired, signedUrlEnd } from '../../src/transport/signed-url.js';

const end = Date.parse('2026-03-01T12:00:00Z');
const policy = Buffer.from(
  `{"Statement":[{"Condition":{"DateLessThan":{"AWS:EpochTime":${end / 1000}}}}]}`,
)
  .toString('base64')
  .replace(/\+/g, '-')
  .replace(/=/g, '_')
  .replace(/\//g, '~');

describe('when a signed URL ends', () => {
  it.each([
    ['S3', 'X-Amz-Date=20260301T110000Z&X-Amz-Expires=3600', end],
    ['Google', 'X-Goog-Date=20260301T110000Z&X-Goog-Expires=3600', end],
    ['Unix seconds', `Expires=${end / 1000}`, end],
    ['Unix seconds under a short name', `exp=${end / 1000}`, end],
    ['milliseconds', `expires=${end}`, end],
    ['Azure', 'se=2026-03-01T12%3A00%3A00Z', end],
    ['CloudFront', `Policy=${policy}&Signature=x`, end],
    ['a life time instead of a date', 'expires=3600', null],
    ['a broken date', 'X-Amz-Date=now&X-Amz-Expires=3600', null],
    ['a broken policy', 'Policy=%%%', null],
    ['nothing', 'sig=1', null],
  ])('is read from the form of %s', (_name, query, expected) => {
    expect(signedUrlEnd(new URL(`https://store.example/x?${query}`))).toBe(expected);
  });

  it('counts the last half minute as over, because clocks differ', () => {
    const url = new URL(`https://store.example/x?Expires=${end / 1000}`);
    expect(isExpired(url, '', end - 31_000)).toBe(false);
    expect(isExpired(url, '', end - 30_000)).toBe(true);
    expect(isExpired(url, '<Code>ExpiredToken</Code>', end - 90_000)).toBe(true);
  });
});
