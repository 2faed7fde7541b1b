import { hexDecode, hexEncode } from '../bytes/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { Call } from './call.js';
import { failure } from './failures.js';
import { type ByteSpan, formatRanges, parseSignedRanges } from './ranges.js';
import type { GatewaySecrets } from './secrets.js';
import { isTenant } from './tenants.js';
import { sameDigest } from './tokens.js';

/**
 * Fetch URLs: `<base>/v1/fetch/<xorb>?X-Xet-Signed-Range=bytes%3Da-b,c-d&X-Xet-Expires=<unix
 * seconds>&X-Xet-Signature=<64 hex>`. Whoever has one may read these ranges of this xorb until it
 * expires, and nothing else; no token goes with it. A tenant's have `&X-Xet-Tenant=<tenant>` as well, and
 * are signed with a key of that tenant's own.
 */

const RANGE_PARAMETER = 'X-Xet-Signed-Range';
const EXPIRES_PARAMETER = 'X-Xet-Expires';
const SIGNATURE_PARAMETER = 'X-Xet-Signature';
const TENANT_PARAMETER = 'X-Xet-Tenant';

/**
 * Checks the signature of a URL, whoever's it is said to be.
 * @throws OrbweaverError 403
 */
export type SignedCheck = (call: Call, secrets: GatewaySecrets, unixMs: number) => void;

/** The tenant that a signed URL names: only its signature says whether that is true. */
export function tenantIn(query: URLSearchParams): string | undefined {
  const tenant = query.get(TENANT_PARAMETER);
  if (tenant === null) return undefined;
  if (!isTenant(tenant)) throw failure(403, 'FORBIDDEN', 'the URL is not signed for this');
  return tenant;
}

/** What a signed URL says of its tenant: names need no encoding. */
export function tenantQuery({ tenant }: Pick<GatewaySecrets, 'tenant'>): string {
  return tenant === undefined ? '' : `&${TENANT_PARAMETER}=${tenant}`;
}

/**
 * Longest URL that is handed out. The protocol's clients and servers meet at about 8 KiB; what does
 * not fit goes into another URL.
 */
export const MAX_URL_BYTES: number = 8 * 1024;

/** What a URL allows. */
export interface SignedRequest {
  readonly ranges: readonly ByteSpan[];
  readonly expiresSeconds: number;
}

/** One URL for `ranges` of `xorb`. */
export function signUrl(
  secrets: GatewaySecrets,
  baseUrl: string,
  xorb: MerkleHash,
  allowed: SignedRequest,
): string {
  const text = `bytes=${formatRanges(allowed.ranges)}`;
  const signature = hexEncode(secrets.sign(signedText(xorb, text, allowed.expiresSeconds)));
  // Commas may stand in a query as they are; encoded they would cost a quarter of the room.
  return (
    `${baseUrl}/v1/fetch/${xorb}?${RANGE_PARAMETER}=${text.replace('=', '%3D')}` +
    `&${EXPIRES_PARAMETER}=${allowed.expiresSeconds}&${SIGNATURE_PARAMETER}=${signature}` +
    tenantQuery(secrets)
  );
}

/** Bytes of a URL for ranges whose text is `rangesLength` long. */
function urlLength(baseUrl: string, rangesLength: number): number {
  const names = RANGE_PARAMETER.length + EXPIRES_PARAMETER.length + SIGNATURE_PARAMETER.length;
  // "/v1/fetch/" 10, hash 64, "?" 1, "=" and "&" 5, "bytes%3D" 8, seconds 12, signature 64.
  return baseUrl.length + 10 + 64 + 1 + names + 5 + 8 + 12 + 64 + rangesLength;
}

/** Cuts a list of ranges where its URL would become too long. At least one range per part. */
export function splitForUrls<Range extends ByteSpan>(
  baseUrl: string,
  ranges: readonly Range[],
  secrets: Pick<GatewaySecrets, 'tenant'> = { tenant: undefined },
): Range[][] {
  const fixedLength = tenantQuery(secrets).length;
  const parts: Range[][] = [];
  let part: Range[] = [];
  let textLength = 0;
  for (const range of ranges) {
    const length = formatRanges([range]).length + 1;
    if (part.length > 0 && urlLength(baseUrl, fixedLength + textLength + length) > MAX_URL_BYTES) {
      parts.push(part);
      part = [];
      textLength = 0;
    }
    part.push(range);
    textLength += length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/**
 * Checks the signature first, then the time. Every way to fail is 403: the client asks for a new
 * reconstruction in each case.
 *
 * @throws OrbweaverError 403 `FORBIDDEN`
 */
export function verifySignedUrl(
  secrets: GatewaySecrets,
  xorb: MerkleHash,
  query: URLSearchParams,
  unixMs: number,
): SignedRequest {
  const ranges = query.get(RANGE_PARAMETER) ?? '';
  const expires = query.get(EXPIRES_PARAMETER) ?? '';
  const signature = parseSignature(query.get(SIGNATURE_PARAMETER) ?? '');
  const expiresSeconds = /^\d{1,12}$/.test(expires) ? Number(expires) : -1;
  const expected = secrets.sign(signedText(xorb, ranges, expiresSeconds));
  const spans = ranges.startsWith('bytes=') ? parseSignedRanges(ranges.slice(6)) : null;
  if (!sameDigest(expected, signature) || expiresSeconds < 0 || spans === null) {
    throw failure(403, 'FORBIDDEN', 'the URL is not signed for this');
  }
  if (unixMs > expiresSeconds * 1000) throw failure(403, 'FORBIDDEN', 'the URL has expired');
  return { ranges: spans, expiresSeconds };
}

function parseSignature(text: string): Uint8Array {
  return /^[0-9a-f]{64}$/.test(text) ? hexDecode(text) : new Uint8Array(0);
}

function signedText(xorb: MerkleHash, ranges: string, expiresSeconds: number): string {
  return `${xorb}\n${expiresSeconds}\n${ranges}`;
}
