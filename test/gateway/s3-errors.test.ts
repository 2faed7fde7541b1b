import { describe, expect, it } from 'vitest';
import { createS3Store, isS3Place } from '../../src/gateway/index.js';
import { loadSdk } from '../../src/gateway/stores/s3-client.js';
import { s3Failure } from '../../src/gateway/stores/s3-errors.js';
import { parseS3Place } from '../../src/gateway/stores/s3-place.js';

/** What the SDK throws. */
function answer(name: string, status: number): Error {
  return Object.assign(new Error('secret text of the answer'), {
    name,
    $metadata: { httpStatusCode: status },
    $response: { headers: { authorization: 'secret' } },
  });
}
const where = { bucket: 'models', where: 's3.example.com' };

describe('errors of S3 services', () => {
  it.each([
    ['AccessDenied', 403, 'STORAGE_FAILED', /"models".*access is denied.*s3:PutObject/],
    ['Forbidden', 403, 'STORAGE_FAILED', /access is denied/],
    ['NoSuchBucket', 404, 'STORAGE_FAILED', /no such bucket/],
    ['SignatureDoesNotMatch', 403, 'STORAGE_FAILED', /credentials are not accepted/],
    ['PermanentRedirect', 301, 'STORAGE_FAILED', /another region.*--s3-region/],
    ['SlowDown', 503, 'STORAGE_FAILED', /fewer requests \(SlowDown\)/],
    ['InternalError', 500, 'STORAGE_FAILED', /InternalError \(HTTP 500\)/],
    ['QuotaExceeded', 403, 'DISK_FULL', /no space left in bucket "models"/],
    ['CredentialsProviderError', 0, 'STORAGE_FAILED', /no credentials.*AWS_ACCESS_KEY_ID/],
    ['TimeoutError', 0, 'STORAGE_FAILED', /not reached.*endpoint/],
  ] as const)('%s (%i) is %s', (name, status, code, message) => {
    const error = s3Failure(where, 'storing "xorbs/a"', answer(name, status));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(error).not.toHaveProperty('cause');
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('secret');
  });

  it('let faults that are none of theirs pass', () => {
    const fault = new TypeError('a fault');
    expect(s3Failure(where, 'x', fault)).toBe(fault);
  });
});

describe('places in a bucket', () => {
  it('are a bucket and a prefix of plain segments', () => {
    expect(parseS3Place('s3://models')).toEqual({ bucket: 'models', prefix: '' });
    expect(parseS3Place('s3://models/')).toEqual({ bucket: 'models', prefix: '' });
    expect(parseS3Place('s3://my.models/a/B_c')).toEqual({ bucket: 'my.models', prefix: 'a/B_c/' });
    for (const place of [
      's3://',
      's3:///a',
      's3://b/../c',
      's3://b//c',
      's3://b/c d',
      's3://b?x',
    ]) {
      expect(() => parseS3Place(place), place).toThrow('expected s3://BUCKET');
      expect(isS3Place(place)).toBe(true);
    }
    expect(isS3Place('./s3')).toBe(false);
  });

  it('need URLs that are some', async () => {
    const odd = createS3Store('s3://models', { endpoint: 'localhost:9000' });
    await expect(odd).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/"endpoint" of S3/),
    });
  });

  it('say what to install when the SDK is not there', async () => {
    const missing = Object.assign(new Error('x'), { code: 'ERR_MODULE_NOT_FOUND' });
    await expect(loadSdk(() => Promise.reject(missing))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('npm install @aws-sdk/client-s3'),
    });
  });
});
