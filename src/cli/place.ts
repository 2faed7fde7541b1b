import { resolve } from 'node:path';
import { isS3Place, type S3Options } from '../gateway.js';
import type { OptionSpec, ParsedArgs } from './command.js';
import type { CliContext } from './context.js';

/** How a bucket is reached, for every command that opens a store. */
export const S3_OPTIONS: readonly OptionSpec[] = [
  {
    name: 's3-endpoint',
    value: 'URL',
    help: 'of s3://: the S3 service',
    fallback: '$AWS_ENDPOINT_URL, else AWS',
  },
  { name: 's3-region', value: 'R', help: 'of s3://: its region', fallback: '$AWS_REGION' },
  {
    name: 's3-path-style',
    help: 'of s3://: the bucket in the path of URLs, as it is anyway with an endpoint',
  },
];

/** What the options say of it. */
export function s3Of(args: ParsedArgs, publicUrl?: string | undefined): S3Options {
  return {
    endpoint: args.text('s3-endpoint'),
    region: args.text('s3-region'),
    pathStyle: args.flag('s3-path-style') ? true : undefined,
    publicUrl,
  };
}

/** A bucket as it is, a folder from where the command runs. */
export function placeOf(data: string, { cwd }: Pick<CliContext, 'cwd'>): string {
  return isS3Place(data) ? data : resolve(cwd, data);
}
