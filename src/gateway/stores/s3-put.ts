import type { ObjectBody, ObjectPart, PutOptions } from '../ports.js';
import { asked, type S3Place } from './s3-client.js';
import { isConflict, isNoObject, isNotImplemented, isOtherVersion } from './s3-errors.js';
import type { UnfinishedUpload } from './s3-list.js';
import { headObject, readRange, truncated } from './s3-read.js';
import { bodyPieces } from './store-body.js';

/**
 * Storing objects. `If-None-Match: *` makes it one step: of two writers the service refuses one. A
 * service that does not know the header (501) is asked first whether the key is free; two writers may then
 * both be told that they stored it, and since keys name their content they stored the same.
 */

/**
 * Metadata of every object that a gateway put whole: whatever else writes an object has none, and its bytes
 * are read before anything relies on them.
 */
export const INTACT_MARK = 'orbweaver-intact';

/** Larger bodies go in parts of this; S3 takes no smaller one than 5 MiB, but for the last. */
export const PART_BYTES: number = 8 * 1024 * 1024;
const LEAST_COPIED_BYTES = 5 * 1024 * 1024;
const MAX_CONFLICTS = 5;

/** What a service turned out not to do. */
export interface S3Abilities {
  ifNoneMatch: boolean;
  copyRange: boolean;
}

export interface PutParts {
  readonly place: S3Place;
  readonly abilities: S3Abilities;
}

export async function putObject(
  { place, abilities }: PutParts,
  key: string,
  body: ObjectBody,
  { replace = false }: PutOptions,
): Promise<boolean> {
  const parts = partsOf(body);
  try {
    const first = await parts.next();
    const bytes = first.done === true ? new Uint8Array(0) : first.value.bytes;
    if (first.done === true || first.value.isLast) {
      return await asked(place, `storing "${key}"`, () =>
        named(place, abilities, { key, replace }, (condition) =>
          putWhole(place, key, bytes, condition),
        ),
      );
    }
    if (!replace && (await headObject(place, key)) !== null) return false;
    return await putInParts({ place, abilities }, { key, replace }, async (upload) => {
      await upload.add(bytes);
      for await (const part of parts) await upload.add(part.bytes);
      return true;
    });
  } finally {
    await parts.return(undefined);
  }
}

/**
 * Copied within the service: not a byte passes here but the tail. Short ones, and those of services that
 * do not copy ranges, are read and put.
 */
export async function putPart(
  { place, abilities }: PutParts,
  key: string,
  { key: from, version, endBytes, tail }: ObjectPart,
  { replace = false }: PutOptions,
): Promise<boolean | null> {
  const info = await headObject(place, from);
  if (info === null || info.version !== version) return null;
  if (endBytes > info.sizeBytes) throw truncated(from, info.sizeBytes, endBytes);
  if (!replace && (await headObject(place, key)) !== null) return false;
  const target = { key, replace };
  if (endBytes >= LEAST_COPIED_BYTES && abilities.copyRange) {
    try {
      return await putInParts({ place, abilities }, target, async (upload) => {
        if (!(await upload.copy(from, version, endBytes))) return null;
        if (tail.length > 0) await upload.add(tail);
        return true;
      });
    } catch (error) {
      if (!isNotImplemented(error)) throw error;
      abilities.copyRange = false;
    }
  }
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < endBytes; at += PART_BYTES) {
      const piece = new Uint8Array(Math.min(PART_BYTES, endBytes - at));
      await readRange(place, from, piece, { start: at, version });
      yield piece;
    }
    yield tail;
  };
  return putObject({ place, abilities }, key, pieces(), { replace });
}

interface Target {
  readonly key: string;
  readonly replace: boolean;
}

/** Gives an object its name in one step: false when it is taken. */
async function named(
  place: S3Place,
  abilities: S3Abilities,
  { key, replace }: Target,
  write: (condition: { readonly IfNoneMatch?: '*' }) => Promise<unknown>,
): Promise<boolean> {
  for (let conflicts = 0; ; ) {
    if (!replace && !abilities.ifNoneMatch && (await headObject(place, key)) !== null) return false;
    try {
      await write(replace || !abilities.ifNoneMatch ? {} : { IfNoneMatch: '*' });
      return true;
    } catch (error) {
      if (isOtherVersion(error)) return false;
      if (isNotImplemented(error) && abilities.ifNoneMatch && !replace)
        abilities.ifNoneMatch = false;
      else if (!isConflict(error) || ++conflicts > MAX_CONFLICTS) throw error;
    }
  }
}

async function putWhole(
  { client, sdk, bucket, prefix }: S3Place,
  key: string,
  bytes: Uint8Array,
  condition: { readonly IfNoneMatch?: '*' },
): Promise<void> {
  await client.send(
    new sdk.PutObjectCommand({
      Bucket: bucket,
      Key: prefix + key,
      Body: bytes,
      ContentLength: bytes.length,
      ContentType: 'application/octet-stream',
      Metadata: { [INTACT_MARK]: '1' },
      ...condition,
    }),
  );
}

interface PartUpload {
  add(bytes: Uint8Array): Promise<void>;
  /** False: there is no such object any more, or it has another version. */
  copy(from: string, version: string, endBytes: number): Promise<boolean>;
}

/** An upload in parts, which leaves nothing behind when `fill` throws or says null. */
async function putInParts<Result extends true | null>(
  { place, abilities }: PutParts,
  target: Target,
  fill: (upload: PartUpload) => Promise<Result>,
): Promise<boolean | (Result & null)> {
  const { client, sdk, bucket, prefix } = place;
  const { key } = target;
  const object = { Bucket: bucket, Key: prefix + key };
  const doing = `storing "${key}"`;
  const { UploadId } = await asked(place, doing, () =>
    client.send(
      new sdk.CreateMultipartUploadCommand({
        ...object,
        ContentType: 'application/octet-stream',
        Metadata: { [INTACT_MARK]: '1' },
      }),
    ),
  );
  const upload = { ...object, UploadId };
  const parts: { PartNumber: number; ETag: string | undefined }[] = [];
  let done = false;
  try {
    const filled = await fill({
      async add(bytes) {
        const PartNumber = parts.length + 1;
        const command = new sdk.UploadPartCommand({ ...upload, PartNumber, Body: bytes });
        const { ETag } = await asked(place, doing, () => client.send(command));
        parts.push({ PartNumber, ETag });
      },
      async copy(from, version, endBytes) {
        const PartNumber = parts.length + 1;
        const command = new sdk.UploadPartCopyCommand({
          ...upload,
          PartNumber,
          CopySource: `${bucket}/${prefix}${from}`,
          CopySourceRange: `bytes=0-${endBytes - 1}`,
          CopySourceIfMatch: version,
        });
        try {
          const { CopyPartResult } = await client.send(command);
          parts.push({ PartNumber, ETag: CopyPartResult?.ETag });
          return true;
        } catch (error) {
          if (isOtherVersion(error) || isNoObject(error)) return false;
          if (isNotImplemented(error)) throw error;
          return asked(place, doing, () => Promise.reject(error));
        }
      },
    });
    if (filled === null) return null as Result & null;
    const stored = await asked(place, doing, () =>
      named(place, abilities, target, (condition) =>
        client.send(
          new sdk.CompleteMultipartUploadCommand({
            ...upload,
            MultipartUpload: { Parts: parts },
            ...condition,
          }),
        ),
      ),
    );
    done = stored;
    return stored;
  } finally {
    if (!done) {
      await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => undefined);
    }
  }
}

/** Also what is gone already. */
export async function abortUpload(
  place: S3Place,
  { fullKey, uploadId }: UnfinishedUpload,
): Promise<void> {
  const { client, sdk, bucket } = place;
  const command = new sdk.AbortMultipartUploadCommand({
    Bucket: bucket,
    Key: fullKey,
    UploadId: uploadId,
  });
  await asked(place, `dropping an upload of "${fullKey}"`, () =>
    client.send(command).catch((error: unknown) => {
      if (!isNoObject(error)) throw error;
    }),
  );
}

interface Part {
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** A body in arrays of `PART_BYTES`, the last one shorter. Of a single array, views. */
async function* partsOf(body: ObjectBody): AsyncGenerator<Part, void, undefined> {
  if (body instanceof Uint8Array) {
    for (let at = 0; at < body.length; at += PART_BYTES) {
      const bytes = body.subarray(at, at + PART_BYTES);
      yield { bytes, isLast: at + bytes.length === body.length };
    }
    return;
  }
  let part = new Uint8Array(64 * 1024);
  let length = 0;
  for await (const piece of bodyPieces(body)) {
    for (let at = 0; at < piece.length; ) {
      if (length === PART_BYTES) {
        yield { bytes: part, isLast: false };
        length = 0;
      }
      const taken = piece.subarray(at, at + PART_BYTES - length);
      if (length + taken.length > part.length) part = grown(part, length, taken.length);
      part.set(taken, length);
      length += taken.length;
      at += taken.length;
    }
  }
  if (length > 0) yield { bytes: part.subarray(0, length), isLast: true };
}

function grown(
  part: Uint8Array<ArrayBuffer>,
  length: number,
  more: number,
): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.min(PART_BYTES, Math.max(2 * part.length, length + more)));
  larger.set(part.subarray(0, length));
  return larger;
}
