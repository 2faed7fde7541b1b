import { isOrbweaverError } from '../../errors.js';
import { checkOptions, is } from '../../options/index.js';
import type { ObjectStore, StoreState } from '../ports.js';
import { isObjectKey, keySegments, prefixSegments } from './key-path.js';
import { asked, connectS3, type S3Place } from './s3-client.js';
import { listObjects, unfinishedUploads } from './s3-list.js';
import type { S3Options } from './s3-place.js';
import { abortUpload, type PutParts, putObject, putPart } from './s3-put.js';
import { headObject, openObject, readObject, readRange, readTail } from './s3-read.js';
import { createGetSigner, signedPut } from './s3-signed.js';
import { createS3Values } from './s3-values.js';
import { checkRange } from './store-body.js';

/**
 * Objects in a bucket of an S3-compatible service, under `<prefix>/<key>`. Any number of gateways share
 * one bucket: an object gets its name in one step, or not at all, and a version is the ETag.
 *
 * A reader asks for each range with the version that it has seen, so a replaced object is an error
 * (`STORAGE_FAILED`) and never a mixture. Times are the service's, in whole seconds.
 *
 * @param place `s3://BUCKET` or `s3://BUCKET/PREFIX`
 * @throws OrbweaverError `USAGE` without the AWS SDK, or for a place that cannot be meant;
 *   `STORAGE_FAILED` when the bucket is not there or not to be reached
 * @example
 * const store = await createS3Store('s3://models/orbweaver', { endpoint: 'http://127.0.0.1:9000' });
 */
export async function createS3Store(place: string, options: S3Options = {}): Promise<ObjectStore> {
  checkOptions('createS3Store', options, {
    endpoint: is.text,
    region: is.text,
    pathStyle: is.flag,
    publicUrl: is.text,
  });
  const connected = await connectS3(place, options);
  const { client, publicClient } = connected;
  await checkBucket(connected);
  const signGet = createGetSigner(connected);
  const parts: PutParts = {
    place: connected,
    abilities: { ifNoneMatch: true, copyRange: true },
  };
  return {
    async head(key) {
      keySegments(key);
      return headObject(connected, key);
    },

    async read(key, range) {
      keySegments(key);
      if (range === undefined) return (await readObject(connected, key))?.bytes ?? null;
      const { start, end } = checkRange(key, range, Number.MAX_SAFE_INTEGER);
      if (start < end) {
        // A wrong length must not become memory: what a service sends is checked on the way as well.
        return readRange(connected, key, new Uint8Array(end - start), { start });
      }
      const info = await headObject(connected, key);
      if (info === null) return null;
      checkRange(key, range, info.sizeBytes);
      return new Uint8Array(0);
    },

    async readTail(key, bytes) {
      keySegments(key);
      return readTail(connected, key, bytes);
    },

    async open(key) {
      keySegments(key);
      return openObject(connected, key);
    },

    async put(key, body, putOptions = {}) {
      keySegments(key);
      return putObject(parts, key, body, putOptions);
    },

    async putFrom(key, part, putOptions = {}) {
      keySegments(key);
      keySegments(part.key);
      return putPart(parts, key, part, putOptions);
    },

    async signedPut(key, putOptions) {
      keySegments(key);
      return signedPut(connected, key, putOptions);
    },

    async signedGet(key, getOptions) {
      keySegments(key);
      return signGet(key, getOptions);
    },

    async *list(prefix) {
      prefixSegments(prefix);
      for await (const entry of listObjects(connected, prefix)) {
        if (isObjectKey(entry.key)) yield entry;
      }
    },

    async delete(key) {
      if ((await headObject(connected, keySegments(key).join('/'))) === null) return false;
      const { sdk, bucket, prefix } = connected;
      const command = new sdk.DeleteObjectCommand({ Bucket: bucket, Key: prefix + key });
      await asked(connected, `deleting "${key}"`, () => client.send(command));
      return true;
    },

    async dropUnfinished(prefix, { beforeMs, dryRun }) {
      prefixSegments(prefix);
      let count = 0;
      for await (const upload of unfinishedUploads(connected, prefix)) {
        if (upload.begunMs >= beforeMs) continue;
        if (!dryRun) await abortUpload(connected, upload);
        count++;
      }
      return count;
    },

    values: createS3Values(connected),
    check: () => checkWriting(connected),
    async close() {
      client.destroy();
      publicClient.destroy();
    },
  };
}

/** Says at once what is wrong with the bucket, the credentials or the endpoint. */
async function checkBucket(place: S3Place): Promise<void> {
  const { client, sdk, bucket, prefix } = place;
  const command = new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 });
  await asked(place, 'opening the store', () => client.send(command));
}

/** A small object under a name that no key has, written each time. */
const PROBE_KEY = '_check';

async function checkWriting(place: S3Place): Promise<StoreState> {
  const { client, sdk, bucket, prefix } = place;
  const Body = new Uint8Array(1);
  const command = new sdk.PutObjectCommand({ Bucket: bucket, Key: prefix + PROBE_KEY, Body });
  try {
    await asked(place, 'writing', () => client.send(command));
    return { state: 'ok', detail: '', freeBytes: null };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const { code, fields } = isOrbweaverError(error) ? error : { code: '', fields: {} };
    const isDenied = 'status' in fields && fields.status === 403;
    const state = code === 'DISK_FULL' ? 'full' : isDenied ? 'read-only' : 'failing';
    return { state, detail, freeBytes: null };
  }
}
