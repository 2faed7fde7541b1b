import { Crc64Nvme } from '../hash/index.js';
import type { HttpHeaders } from '../http/index.js';

/**
 * Upload grants as the client sees them: what it asks for, and what it makes of the response. A grant
 * is a request that the server wants sent, so all of it is checked before anything is.
 */

/** When xorbs go by upload grants; see `CasClientOptions.grants`. */
export type GrantPolicy = 'auto' | 'always' | 'never';

/** CRC-64/NVME of bytes that lie in pieces; `pause` lets others go on, now and then. */
export type Crc64OfPieces = (
  pieces: readonly Uint8Array[],
  pause: () => Promise<void>,
) => Promise<bigint>;

/** A request to send, with the xorb as its body. */
export interface Grant {
  /** For the commit. */
  readonly id: string;
  readonly method: string;
  readonly url: string;
  /** By lower-case name. */
  readonly headers: HttpHeaders;
}

/** Bytes that are summed up without a pause: some 10 ms. */
const STRETCH_BYTES = 2 * 1024 * 1024;

/** In JavaScript, on the calling thread. */
export const crc64OfPieces: Crc64OfPieces = async (pieces, pause) => {
  const crc = new Crc64Nvme();
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += STRETCH_BYTES) {
      crc.update(piece.subarray(at, at + STRETCH_BYTES));
      await pause();
    }
  }
  return crc.digest();
};

const MAX_URL_LENGTH = 16 * 1024;
const MAX_ID_LENGTH = 1024;
const MAX_HEADERS = 64;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;
/** Methods whose requests have no body, or that are no requests to a store. */
const NO_UPLOADS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'CONNECT', 'TRACE', 'OPTIONS']);
/** Headers that belong to the connection and not to the request. */
const NOT_ITS_MATTER: ReadonlySet<string> = new Set([
  'connection',
  'cookie',
  'expect',
  'keep-alive',
  'origin',
  'proxy-authorization',
  'referer',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The grant in a response; null for what cannot be one, or asks for what no upload needs. */
export function grantIn(json: unknown, sizeBytes: number): Grant | null {
  const { id, method, url, headers } = fieldsOf(json);
  if (typeof id !== 'string' || id === '' || id === '.' || id === '..') return null;
  if (id.length > MAX_ID_LENGTH || !isEncodable(id)) return null;
  if (typeof method !== 'string' || !TOKEN.test(method)) return null;
  if (NO_UPLOADS.has(method.toUpperCase())) return null;
  if (typeof url !== 'string' || url.length > MAX_URL_LENGTH || !URL.canParse(url)) return null;
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) return null;
  const checked: Record<string, string> = {};
  const entries = Object.entries(headers);
  if (entries.length > MAX_HEADERS) return null;
  for (const [name, value] of entries) {
    const lower = name.toLowerCase();
    if (!TOKEN.test(name) || typeof value !== 'string' || !VALUE.test(value)) return null;
    if (NOT_ITS_MATTER.has(lower) || lower in checked) return null;
    // These two the connection sets; they can only be what they are anyway.
    if (lower === 'content-length' && value !== String(sizeBytes)) return null;
    if (lower === 'host' && value.toLowerCase() !== new URL(url).host) return null;
    if (lower !== 'content-length' && lower !== 'host') checked[lower] = value;
  }
  return { id, method, url, headers: checked };
}

/** Half a surrogate pair has no form in a URL. */
function isEncodable(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''));
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
