import type { SignedGet, SignedGetOptions, SignedPut, SignedPutOptions } from '../ports.js';
import { asked, type S3Place } from './s3-client.js';

/** What S3 signs for at most. URLs signed with credentials that end earlier end with them. */
const MAX_LIFETIME_SECONDS = 7 * 24 * 60 * 60;

const secondsOf = (lifetimeMs: number): number =>
  Math.min(MAX_LIFETIME_SECONDS, Math.max(1, Math.ceil(lifetimeMs / 1000)));

/** A PUT of exactly these bytes to a key that is free: all of it is under the signature. */
export async function signedPut(
  place: S3Place,
  key: string,
  { sizeBytes, crc64nvme, lifetimeMs }: SignedPutOptions,
): Promise<SignedPut> {
  const { publicClient, sdk, getSignedUrl, bucket, prefix } = place;
  const sum = new Uint8Array(8);
  new DataView(sum.buffer).setBigUint64(0, crc64nvme);
  const checksum = btoa(String.fromCharCode(...sum));
  const command = new sdk.PutObjectCommand({
    Bucket: bucket,
    Key: prefix + key,
    ContentLength: sizeBytes,
    ChecksumCRC64NVME: checksum,
    IfNoneMatch: '*',
  });
  const headers = { 'x-amz-checksum-crc64nvme': checksum, 'if-none-match': '*' };
  const url = await asked(place, `signing for "${key}"`, () =>
    getSignedUrl(publicClient, command, {
      expiresIn: secondsOf(lifetimeMs),
      unhoistableHeaders: new Set(Object.keys(headers)),
    }),
  );
  return { method: 'PUT', url, headers };
}

/** A GET of one range, which its signature covers: asked for another one the service says 403. */
export async function signedGet(
  place: S3Place,
  key: string,
  { start, end, lifetimeMs }: SignedGetOptions,
): Promise<SignedGet> {
  const { publicClient, sdk, getSignedUrl, bucket, prefix } = place;
  const range = `bytes=${start}-${end - 1}`;
  const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: prefix + key, Range: range });
  const url = await asked(place, `signing for "${key}"`, () =>
    getSignedUrl(publicClient, command, {
      expiresIn: secondsOf(lifetimeMs),
      unhoistableHeaders: new Set(['range']),
    }),
  );
  return { url };
}
