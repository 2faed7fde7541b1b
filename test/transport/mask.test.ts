import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMasker, maskUrl } from '../../src/transport/index.js';

/** Secrets as servers issue them: long and random enough to be told from other text. */
const secretArbitrary = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._~+/=-]{12,60}$/),
  fc.stringMatching(/^[!#-~]{12,60}$/),
);

describe('masking', () => {
  it('never lets a known secret through, however it is quoted', () => {
    fc.assert(
      fc.property(secretArbitrary, fc.string(), fc.string(), (secret, before, after) => {
        const masker = createMasker([secret]);
        for (const form of [
          secret,
          `Authorization: Bearer ${secret}`,
          JSON.stringify({ token: secret }),
          encodeURIComponent(secret),
          `https://host/path?token=${secret}&x=1`,
          `https://user:${encodeURIComponent(secret)}@host/`,
          `${secret}${secret}`,
        ]) {
          const masked = masker.mask(`${before} ${form} ${after}`);
          expect(masked.includes(secret) && !before.includes(secret)).toBe(false);
          expect(masked).not.toContain(encodeURIComponent(secret));
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  it('hides unknown secrets that stand where secrets stand', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9]{16,40}$/), (secret) => {
        const masker = createMasker();
        for (const text of [
          `GET https://store.example/x?X-Amz-Signature=${secret} failed`,
          `see "https://store.example/x?Policy=a&Signature=${secret}"`,
          `<Url>https://store.example/x?sig=${secret}</Url>`,
          `wss://h/x#${secret}`,
          `https://me:${secret}@host/x`,
          `authorization: Bearer ${secret}`,
          `{"Authorization":"Bearer ${secret}"}`,
          `{"accessToken": "${secret}"}`,
          `X-Xet-Access-Token: ${secret}`,
          `cookie: session=${secret}`,
          `token hf_${secret} is wrong`,
          `eyJhbGciOi.${secret}.${secret}`,
          `x-amz-security-token=${secret}`,
        ]) {
          expect(masker.mask(text)).not.toContain(secret);
        }
      }),
      { numRuns: 100, seed: 4 },
    );
  });

  it('leaves prose about tokens alone, and not what stands beside it', () => {
    const { mask } = createMasker();
    for (const text of ['the bearer token is not known', 'no Bearer token.', 'needs basic auth']) {
      expect(mask(text)).toBe(text);
    }
    expect(mask('the bearer token 4f2a9c3d77 is not known')).toBe(
      'the bearer token *** is not known',
    );
    expect(mask('Bearer token-4f2a9c')).toBe('Bearer ***');
    expect(mask('Bearer tokenizer')).toBe('Bearer ***');
    expect(mask('Basic auth=')).toBe('Basic ***');
  });

  it('shows no part of a secret that a cut runs through', () => {
    fc.assert(
      fc.property(
        secretArbitrary,
        fc.integer({ min: 4, max: 60 }),
        fc.nat(300),
        (secret, cut, pad) => {
          fc.pre(cut < secret.length);
          const masker = createMasker([secret]);
          const masked = masker.maskCut(`${'#'.repeat(pad)}\n${secret.slice(0, cut)}`, 200);
          expect(masked).not.toContain(secret.slice(0, cut));
          expect(masked.length).toBeLessThanOrEqual(201);
        },
      ),
      { numRuns: 200, seed: 8 },
    );
  });

  it('leaves ordinary text as it is', () => {
    const text = 'status 503 from storage.example.com:443: too many requests, try later (id 17-ab)';
    expect(createMasker(['a-real-secret', 'abc']).mask(text)).toBe(text);
  });

  it('shows of a URL its host and path', () => {
    expect(maskUrl('https://u:p@h.example:8443/a/b?sig=1#x')).toBe('https://h.example:8443/a/b');
    expect(maskUrl('nonsense?sig=1')).toBe('(not a URL)');
  });

  it('forgets the oldest of very many secrets and keeps the newest', () => {
    const masker = createMasker();
    for (let i = 0; i < 100; i++) masker.add(`secret-number-${i}-x`);
    expect(masker.mask('secret-number-99-x')).toBe('***');
  });
});
