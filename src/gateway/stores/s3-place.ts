import { OrbweaverError } from '../../errors.js';

/**
 * Names of buckets and how they are reached. No type of the SDK is in here or in `s3-store.ts`: whoever
 * does not have it compiles against these.
 */

/** How a bucket is reached. What is not given here comes from the AWS environment and its files. */
export interface S3Options {
  /**
   * Base URL of the S3 service. @default `$AWS_ENDPOINT_URL_S3`, `$AWS_ENDPOINT_URL`, the profile's,
   * else that of AWS for the region
   */
  readonly endpoint?: string | undefined;
  /** @default `$AWS_REGION`, the profile's; with an endpoint and neither, `us-east-1` */
  readonly region?: string | undefined;
  /**
   * Name the bucket in the path of URLs and not in the host name. @default true when an endpoint is
   * given here or by `$AWS_ENDPOINT_URL_S3` or `$AWS_ENDPOINT_URL`, else false
   */
  readonly pathStyle?: boolean | undefined;
  /**
   * Base URL of the service as clients reach it, for signed URLs, where that is another one than the
   * gateway's own way there. @default the endpoint
   */
  readonly publicUrl?: string | undefined;
}

const PLACE =
  /^s3:\/\/([A-Za-z0-9][A-Za-z0-9._-]{1,254})((?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,6})\/?$/;
/** With 400 of our own keys it is below the 1,024 bytes of S3. */
const MAX_PREFIX_LENGTH = 400;

/** True for what is meant to be a bucket and not a folder. */
export function isS3Place(place: string): boolean {
  return /^s3:\/\//i.test(place);
}

/** @throws OrbweaverError `USAGE` */
export function parseS3Place(place: string): { readonly bucket: string; readonly prefix: string } {
  const [, bucket, path] = PLACE.exec(place) ?? [];
  if (bucket === undefined || path === undefined || path.length > MAX_PREFIX_LENGTH) {
    const message = `${JSON.stringify(place)} expected s3://BUCKET or s3://BUCKET/PREFIX, segments of letters, digits, ".", "_" and "-"`;
    throw new OrbweaverError('USAGE', message);
  }
  return { bucket, prefix: path === '' ? '' : `${path.slice(1)}/` };
}

/** @throws OrbweaverError `USAGE` */
export function checkS3Urls(urls: Pick<S3Options, 'endpoint' | 'publicUrl'>): void {
  for (const [name, url] of Object.entries(urls)) checkUrl(name, url);
}

function checkUrl(name: string, url: string | undefined): void {
  if (url === undefined) return;
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const isPlain = parsed !== null && parsed.search === '' && parsed.username === '';
  if (!isPlain || !/^https?:$/.test(parsed.protocol)) {
    throw new OrbweaverError(
      'USAGE',
      `"${name}" of S3 expected an http or https URL without user and query`,
    );
  }
}
