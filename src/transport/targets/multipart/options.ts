import type { Clock } from '../../../flow/index.js';
import type { Exchange } from '../../../http/index.js';
import { is, type OptionRules } from '../../../options/index.js';
import type { RandomSource } from '../../../platform/index.js';
import type { TokenSource } from '../../ports.js';

/** What the multipart target is made with. */
export interface MultipartTargetOptions {
  readonly exchange: Exchange;
  /** Base of the service: `https://host/drive`, `https://host/api`; without a path `/api` is meant. */
  readonly url: string;
  readonly token?: string | TokenSource | undefined;
  readonly clock: Clock;
  readonly random: RandomSource;
  /**
   * Let the server find a file that it has: costs a pass over the source before anything is sent.
   * @default true
   */
  readonly dedup?: boolean | undefined;
  /**
   * Above 1 GiB: `auto` is the server's rule, the MD5 of the first and last MiB; `md5-full` that of
   * the whole content, for servers that have mended theirs.
   * @default 'auto'
   */
  readonly hash?: 'auto' | 'md5-full' | undefined;
  /**
   * Accept a file above 1 GiB of which only size and ends were compared as the same one.
   * @default false
   */
  readonly trustFastHash?: boolean | undefined;
  /** Chunk size to ask for, 1 to 5 MiB. @default the server's own */
  readonly chunkBytes?: number | undefined;
  /** Chunks under way at once. @default 3 */
  readonly parallelParts?: number | undefined;
  /** @default 'application/octet-stream' */
  readonly contentType?: string | undefined;
  readonly poolId?: string | undefined;
  readonly bundleId?: string | undefined;
  readonly parentId?: string | undefined;
  readonly usage?: string | undefined;
  /** When the server may delete the file: RFC 3339 with `Z`. */
  readonly expiredAt?: string | undefined;
  /** The server encrypts with it: then neither size nor hash can be checked. */
  readonly encryptPassword?: string | undefined;
}

export const MULTIPART_RULES: OptionRules<MultipartTargetOptions> = {
  exchange: is.required(is.callback),
  clock: is.required(is.object),
  random: is.required(is.callback),
  url: is.required(is.text),
  token: is.either(is.text, is.object, is.callback),
  dedup: is.flag,
  hash: is.oneOf(['auto', 'md5-full']),
  trustFastHash: is.flag,
  chunkBytes: is.number(0),
  parallelParts: is.number(0),
  contentType: is.text,
  poolId: is.text,
  bundleId: is.text,
  parentId: is.text,
  usage: is.text,
  expiredAt: is.text,
  encryptPassword: is.text,
};

const MIB: number = 1024 * 1024;
/** Chunks of a request never exceed this: with the form around them they must fit 6 MiB. */
export const MAX_CHUNK_BYTES: number = 5 * MIB;
/** Smaller chunks are pointless. */
export const MIN_CHUNK_BYTES: number = MIB;
/** What the server takes of one chunk request, the form around it included. */
export const BODY_LIMIT_BYTES: number = 6 * MIB;
/** More than the form around a chunk takes. */
export const FORM_BYTES: number = 512;
/** Asked for where the server's own rounding would make a chunk that it does not take. */
export const ESCAPE_CHUNK_BYTES: number = 4 * MIB;
export const DEFAULT_PARALLEL_PARTS = 3;

/**
 * The chunk size to ask for; null: the server's own. Some servers answer one chunk as large as the
 * file when two would result and the second is under a MiB; close to 6 MiB that chunk cannot pass
 * their own limit.
 */
export function chunkBytesToAsk(sizeBytes: number, wantedBytes: number | null): number | null {
  const chunkBytes = wantedBytes ?? MAX_CHUNK_BYTES;
  const isTwo = sizeBytes > chunkBytes && sizeBytes <= 2 * chunkBytes;
  const becomesOne = isTwo && sizeBytes - chunkBytes < MIB;
  const isHazard = becomesOne && sizeBytes + FORM_BYTES > BODY_LIMIT_BYTES;
  return isHazard ? ESCAPE_CHUNK_BYTES : wantedBytes;
}

/** The endpoints below a base URL. @throws TypeError for one that is no http(s) URL */
export function uploadUrl(base: string): URL {
  if (!URL.canParse(base))
    throw new TypeError(`"url" expected an http or https URL, got another text`);
  const url = new URL(base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TypeError(`"url" expected an http or https URL, got ${url.protocol}`);
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/files(?:\/upload)?$/, '');
  url.pathname = `${path === '' ? '/api' : path}/files/upload/`;
  url.search = '';
  url.hash = '';
  return url;
}
