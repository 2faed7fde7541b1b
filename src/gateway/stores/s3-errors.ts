import { isOrbweaverError, OrbweaverError } from '../../errors.js';

/**
 * What S3 services answer, as errors of a store. Neither the error of the SDK nor its response goes along
 * as a cause: they hold headers, and of a wrong signature the text that was signed.
 */

/** Where a bucket is, for messages. */
export interface S3Location {
  readonly bucket: string;
  /** Host of the service. */
  readonly where: string;
}

/** Status of a response, 0 when there was none. */
export function s3Status(error: unknown): number {
  const meta = (error as { $metadata?: { httpStatusCode?: unknown } } | null)?.$metadata;
  return typeof meta?.httpStatusCode === 'number' ? meta.httpStatusCode : 0;
}

/** Name of the error in the protocol (`NoSuchKey`), of the SDK or of the system, or ''. */
export function s3Name(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}

/** There is no such object. A bucket that does not exist is something else, where the service says so. */
export function isNoObject(error: unknown): boolean {
  const name = s3Name(error);
  return (
    name === 'NoSuchKey' ||
    name === 'NotFound' ||
    (s3Status(error) === 404 && name !== 'NoSuchBucket')
  );
}

/** A condition (`If-Match`, `If-None-Match`) does not hold. */
export function isOtherVersion(error: unknown): boolean {
  return s3Status(error) === 412;
}

/** Two conditional writes of one key at a time: the service wants this one again. */
export function isConflict(error: unknown): boolean {
  return s3Status(error) === 409;
}

/** The service does not know a header or an operation. */
export function isNotImplemented(error: unknown): boolean {
  return s3Status(error) === 501 || s3Name(error) === 'NotImplemented';
}

const FULL = ['QuotaExceeded', 'XMinioStorageFull', 'InsufficientStorage', 'EntityTooLarge.Quota'];
const UNREACHED = [
  'ENOTFOUND',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'TimeoutError',
  'ETIMEDOUT',
];
const REGION = [
  'PermanentRedirect',
  'AuthorizationHeaderMalformed',
  'IllegalLocationConstraintException',
];

/** Any failure as one of a store; errors that have a code of ours pass. */
export function s3Failure({ bucket, where }: S3Location, doing: string, error: unknown): unknown {
  if (isOrbweaverError(error) || error instanceof RangeError) return error;
  const name = s3Name(error);
  const status = s3Status(error);
  const fields = { bucket, service: where, name, status };
  const failed = (text: string): OrbweaverError =>
    new OrbweaverError(
      'STORAGE_FAILED',
      `${doing} in bucket "${bucket}" (${where}) failed: ${text}`,
      fields,
    );
  if (status === 507 || FULL.includes(name)) {
    return new OrbweaverError(
      'DISK_FULL',
      `no space left in bucket "${bucket}" (${where}) for ${doing}`,
      fields,
    );
  }
  if (name === 'NoSuchBucket') return failed('there is no such bucket; make it, or check its name');
  if (REGION.includes(name) || status === 301) {
    return failed(`the bucket is in another region (${name}); set --s3-region or AWS_REGION`);
  }
  if (
    name === 'InvalidAccessKeyId' ||
    name === 'SignatureDoesNotMatch' ||
    name === 'ExpiredToken'
  ) {
    return failed(
      `the credentials are not accepted (${name}); check the AWS environment and the clock`,
    );
  }
  if (status === 401 || status === 403) {
    return failed(
      `access is denied (${name}); the policy has to allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload for its objects and s3:ListBucket for the bucket`,
    );
  }
  if (name === 'CredentialsProviderError') {
    return failed(
      'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile',
    );
  }
  if (error instanceof Error && error.message === 'Region is missing') {
    return failed('no region is set; set --s3-region or AWS_REGION');
  }
  if (UNREACHED.includes(name))
    return failed(`the service is not reached (${name}); check the endpoint`);
  if (status === 503 || name === 'SlowDown')
    return failed(`the service asks for fewer requests (${name})`);
  if (status !== 0) return failed(`${name} (HTTP ${status})`);
  // Not of the service: a fault here, or a body that broke off, which keeps its own error.
  return error;
}
