import type { ObjectEntry } from '../ports.js';
import { asked, type S3Place } from './s3-client.js';
import { isNotImplemented, s3Status } from './s3-errors.js';

/** Everything below a key prefix, page after page; the next one is asked for when this one was taken. */
export async function* listObjects(
  place: S3Place,
  below: string,
): AsyncGenerator<ObjectEntry, void, undefined> {
  const { client, sdk, bucket, prefix } = place;
  let token: string | undefined;
  do {
    const command = new sdk.ListObjectsV2Command({
      Bucket: bucket,
      Prefix: prefix + below,
      ...(token !== undefined && { ContinuationToken: token }),
    });
    const page = await asked(place, `listing "${below}"`, () => client.send(command));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const modifiedMs = LastModified?.getTime() ?? 0;
      yield { key: Key.slice(prefix.length), sizeBytes: Size, modifiedMs };
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}

/** An upload in parts that was begun and neither completed nor aborted. */
export interface UnfinishedUpload {
  /** With the prefix of the place. */
  readonly fullKey: string;
  readonly uploadId: string;
  readonly begunMs: number;
}

/** All of them below a key prefix; none where the service does not list them, or not for us. */
export async function* unfinishedUploads(
  place: S3Place,
  below: string,
): AsyncGenerator<UnfinishedUpload, void, undefined> {
  const { client, sdk, bucket, prefix } = place;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  for (;;) {
    const command = new sdk.ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: prefix + below,
      ...marker,
    });
    const page = await asked(place, `listing uploads of "${below}"`, () =>
      client.send(command).catch(unlessRefused),
    );
    for (const { Key = '', UploadId = '', Initiated } of page?.Uploads ?? []) {
      // What is deleted next has to be ours, whatever a service made of the prefix.
      if (!Key.startsWith(prefix + below) || Initiated === undefined) continue;
      yield { fullKey: Key, uploadId: UploadId, begunMs: Initiated.getTime() };
    }
    if (page?.IsTruncated !== true) return;
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
  }
}

function unlessRefused(error: unknown): null {
  if (isNotImplemented(error) || s3Status(error) === 403) return null;
  throw error;
}
