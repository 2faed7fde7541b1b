import { lookup as dnsLookup } from 'node:dns';
import type { Clock } from '../../../flow/index.js';
import type { Exchange } from '../../../http/index.js';
import { checkOptions, is, type OptionRules } from '../../../options/index.js';
import type { RandomSource } from '../../../platform/index.js';
import type { NameLookup } from '../../ports.js';
import { createUrlPolicy, type UrlPolicy } from '../../url-policy.js';
import { endpointOf, gotSecret } from '../endpoint.js';

/** What a file is for, in the words of the API. */
export type StartrailCategory =
  | 'certificate'
  | 'for_authenticity'
  | 'artwork'
  | 'installation'
  | 'non_attachment_file';

/** All of them. */
export const STARTRAIL_CATEGORIES: readonly StartrailCategory[] = [
  'certificate',
  'for_authenticity',
  'artwork',
  'installation',
  'non_attachment_file',
];

/** An API and the issuer on it. */
export interface StartrailOptions {
  /** Base URL, with or without `/port/api/v1/commerce`; https, except for loopback. */
  readonly url: string;
  /** `commerce-api-key`: a secret. */
  readonly apiKey: string;
  /** `0x` and 40 hex digits. */
  readonly issuer: string;
  /** @default non_attachment_file */
  readonly category?: StartrailCategory | undefined;
  /**
   * Puts the beginning of the SHA-256 before the extension: names are unique per issuer and only the
   * vendor deletes one. Costs a pass over the file before it is sent. @default false
   */
  readonly uniqueName?: boolean | undefined;
  /** Stores a name that the service would refuse under a similar one, instead of refusing it. @default false */
  readonly safeName?: boolean | undefined;
  /** A CID of no known importer is an error. @default false: integrity is decided by hash and size */
  readonly strictCid?: boolean | undefined;
  /** Largest file, bytes. @default 2147483647 */
  readonly maxBytes?: number | undefined;
  /** A stored file may be invisible for so long, ms. @default 120000 */
  readonly visibleMs?: number | undefined;
  /** The hash has to be there after so long per started GiB, ms. @default 1800000 */
  readonly deadlineMsPerGiB?: number | undefined;
  /** Names asked for in one request. @default 50 */
  readonly batchCount?: number | undefined;
  /** Times between two looks, ms. @default 2000, growing to 60000 */
  readonly pollMs?: { readonly first: number; readonly most: number } | undefined;
  /** Hosts of signed URLs that may be at private addresses; `*.example.com` for all below a name. @default none */
  readonly allowHosts?: readonly string[] | undefined;
  /** @default `dns.lookup` */
  readonly lookup?: NameLookup | undefined;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Options that were checked, with their defaults. */
export interface StartrailSettings extends StartrailOptions {
  /** Ends with `/port/api/v1/commerce`. */
  readonly api: URL;
  readonly category: StartrailCategory;
  readonly maxBytes: number;
  readonly visibleMs: number;
  readonly deadlineMsPerGiB: number;
  readonly batchCount: number;
  readonly pollMs: { readonly first: number; readonly most: number };
  readonly urlPolicy: UrlPolicy;
}

const RULES: OptionRules<StartrailOptions> = {
  exchange: is.required(is.callback),
  clock: is.required(is.object),
  random: is.required(is.callback),
  url: is.required(is.text),
  apiKey: is.required(is.text),
  issuer: is.required(is.text),
  category: is.text,
  uniqueName: is.flag,
  safeName: is.flag,
  strictCid: is.flag,
  maxBytes: is.number(0),
  visibleMs: is.number(0),
  deadlineMsPerGiB: is.number(0),
  batchCount: is.number(0),
  pollMs: is.object,
  allowHosts: is.texts,
  lookup: is.callback,
};

const PREFIX = '/port/api/v1/commerce';
const MINUTE_MS = 60_000;

/** @throws TypeError, RangeError for an option of the wrong form; OrbweaverError `UNSAFE_URL` */
export function startrailSettings(options: StartrailOptions): StartrailSettings {
  checkOptions('createStartrailTarget', options, RULES);
  const url = endpointOf('startrail', options.url);
  if (!/^[\x21-\x7e]+$/.test(options.apiKey)) {
    const got = gotSecret(options.apiKey);
    throw new TypeError(`"apiKey" expected visible ASCII characters, got ${got}`);
  }
  if (!/^0x[0-9a-fA-F]{40}$/.test(options.issuer)) {
    const got = options.issuer === '' ? 'none' : `"${options.issuer}"`;
    throw new TypeError(`"issuer" expected 0x and 40 hex digits, got ${got}`);
  }
  const { category = 'non_attachment_file', batchCount = 50 } = options;
  if (!STARTRAIL_CATEGORIES.includes(category)) {
    throw new RangeError(
      `"category" expected one of ${STARTRAIL_CATEGORIES.join(', ')}, got ${String(category)}`,
    );
  }
  if (!(Number.isInteger(batchCount) && batchCount >= 1)) {
    throw new RangeError(`"batchCount" expected a whole number from 1 on, got ${batchCount}`);
  }
  const root = url.pathname.replace(/\/+$/, '').replace(/\/port\/api\/v1\/commerce$/, '');
  const api = new URL(`${root}${PREFIX}`, url);
  return {
    ...options,
    api,
    category,
    batchCount,
    maxBytes: options.maxBytes ?? 2 ** 31 - 1,
    visibleMs: options.visibleMs ?? 2 * MINUTE_MS,
    deadlineMsPerGiB: options.deadlineMsPerGiB ?? 30 * MINUTE_MS,
    pollMs: options.pollMs ?? { first: 2000, most: MINUTE_MS },
    urlPolicy: createUrlPolicy({
      endpoint: api,
      allowHosts: options.allowHosts ?? [],
      lookup: options.lookup ?? dnsLookup,
    }),
  };
}
