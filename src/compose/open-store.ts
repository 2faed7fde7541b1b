import { OrbweaverError } from '../errors.js';
import {
  createDiskStore,
  createS3Store,
  isS3Place,
  type KeptSecrets,
  keptSecrets,
  keptTokenKeys,
  type ObjectStore,
  type S3Options,
  secretsInValues,
  type TokenKeys,
  tokenKeysInValues,
  type ValueStore,
} from '../gateway/index.js';
import { checkOptions, is } from '../options/index.js';

/** Settings of {@link openStore}. */
export interface OpenStoreOptions {
  /** Flush what is stored in a folder to the disk before it counts as stored. @default true */
  readonly sync?: boolean | undefined;
  /** How the bucket of an `s3://` place is reached. @default as the AWS environment says */
  readonly s3?: S3Options | undefined;
}

/**
 * Opens the store in a place: `s3://BUCKET` or `s3://BUCKET/PREFIX`, which needs the AWS SDK, or a folder,
 * which is made if it is missing.
 *
 * @throws OrbweaverError `USAGE` for a bucket without the SDK or that cannot be meant, `STORAGE_FAILED`,
 *   `DISK_FULL`
 * @example
 * const store = await openStore('s3://models/orbweaver');
 */
export async function openStore(
  place: string,
  options: OpenStoreOptions = {},
): Promise<ObjectStore> {
  checkOptions('openStore', options, { sync: is.flag, s3: is.object });
  if (isS3Place(place)) return createS3Store(place, options.s3);
  return createDiskStore(place, { sync: options.sync });
}

/** Secrets that the store in `place` keeps: a file of the folder, or a value in the bucket. */
export async function placeSecrets(place: string, store: ObjectStore): Promise<KeptSecrets> {
  return isS3Place(place) ? secretsInValues(valuesOf(store)) : keptSecrets(place);
}

/** Keys of signed tokens that it keeps. */
export function placeTokenKeys(place: string, store: Pick<ObjectStore, 'values'>): TokenKeys {
  return isS3Place(place) ? tokenKeysInValues(valuesOf(store)) : keptTokenKeys(place);
}

function valuesOf({ values }: Pick<ObjectStore, 'values'>): ValueStore {
  if (values === undefined) throw new OrbweaverError('INTERNAL', 'the store has no values');
  return values;
}
