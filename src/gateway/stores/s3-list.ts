import type { ObjectEntry } from '../ports.js';
import { asked, type S3Place } from './s3-client.js';

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
