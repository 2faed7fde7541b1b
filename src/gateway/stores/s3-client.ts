import type { S3Client } from '@aws-sdk/client-s3';
import { OrbweaverError } from '../../errors.js';
import { type S3Location, s3Failure } from './s3-errors.js';
import { checkS3Urls, parseS3Place, type S3Options } from './s3-place.js';

/**
 * The AWS SDK, an optional peer dependency: loaded when an `s3://` place is opened and never before. It
 * brings what operators need of it, the chain of credentials (environment, profiles, SSO, web identity,
 * containers, instances), regions and signatures; nothing else here knows it.
 */
export type S3Sdk = typeof import('@aws-sdk/client-s3');
type Presigner = typeof import('@aws-sdk/s3-request-presigner');

/** A bucket, and a folder in it, that can be asked. */
export interface S3Place extends S3Location {
  /** Empty, or segments that each end with a slash: what every key starts with. */
  readonly prefix: string;
  readonly sdk: S3Sdk;
  readonly client: S3Client;
  /** Signs for the address under which clients reach the service. */
  readonly publicClient: S3Client;
  readonly getSignedUrl: Presigner['getSignedUrl'];
  readonly S3RequestPresigner: Presigner['S3RequestPresigner'];
}

/** Connections to the service at a time: footers are read by the dozen. */
const MAX_SOCKETS = 128;
const CONNECT_MS = 10_000;
/** A connection on which nothing moves for as long is given up, and the request repeated. */
const SILENCE_MS = 30_000;
/** Tries of a request that was throttled (`SlowDown`) or failed in the server, with growing pauses. */
const MAX_ATTEMPTS = 6;

/**
 * Loads the SDK and makes its clients; asks the service nothing.
 * @throws OrbweaverError `USAGE` for a place or an option that cannot be meant, or without the SDK
 */
export async function connectS3(place: string, options: S3Options): Promise<S3Place> {
  const { bucket, prefix } = parseS3Place(place);
  const { endpoint, publicUrl } = options;
  checkS3Urls({ endpoint, publicUrl });
  const { sdk, getSignedUrl, S3RequestPresigner } = await loadSdk();
  const env = process.env;
  const given = endpoint ?? (env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'] || undefined);
  const region =
    options.region ?? (given === undefined || env['AWS_REGION'] ? undefined : 'us-east-1');
  const settings = {
    forcePathStyle: options.pathStyle ?? given !== undefined,
    ...(region !== undefined && { region }),
    // Sums of our own are sent where they are signed for; those that the SDK adds to every request by
    // itself (trailers, CRC-32) are refused by servers that are older than them.
    requestChecksumCalculation: 'WHEN_REQUIRED' as const,
    responseChecksumValidation: 'WHEN_REQUIRED' as const,
    maxAttempts: MAX_ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      httpAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      httpsAgent: { keepAlive: true, maxSockets: MAX_SOCKETS },
      // What is busy is said by the gateway's own figures.
      socketAcquisitionWarningTimeout: 2 ** 31 - 1,
    },
    // The SDK writes hints to the console, which is the operator's.
    logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  };
  const client = new sdk.S3Client({ ...settings, ...(given !== undefined && { endpoint: given }) });
  const publicClient =
    publicUrl === undefined ? client : new sdk.S3Client({ ...settings, endpoint: publicUrl });
  const where = given === undefined ? 'AWS' : new URL(given).host;
  return { bucket, prefix, where, sdk, client, publicClient, getSignedUrl, S3RequestPresigner };
}

/** @throws OrbweaverError `USAGE` without it, with what to install */
export async function loadSdk(
  load: () => Promise<readonly [S3Sdk, Presigner]> = () =>
    Promise.all([
      import('@aws-sdk/client-s3').catch(missing),
      import('@aws-sdk/s3-request-presigner').catch(missing),
    ]),
): Promise<Pick<S3Place, 'sdk' | 'getSignedUrl' | 'S3RequestPresigner'>> {
  try {
    const [sdk, { getSignedUrl, S3RequestPresigner }] = await load();
    return { sdk, getSignedUrl, S3RequestPresigner };
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const message =
      'an s3:// place needs the AWS SDK, which is not installed: npm install @aws-sdk/client-s3 @aws-sdk/s3-request-presigner';
    throw new OrbweaverError('USAGE', message);
  }
}

/** Bundlers leave an import that may fail to the run, where `catch` stands right behind it. */
function missing(error: unknown): never {
  throw error;
}

/** What the store asks of a bucket, with the errors of a store. */
export async function asked<Result>(
  place: S3Location,
  doing: string,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw s3Failure(place, doing, error);
  }
}
