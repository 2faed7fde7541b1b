import { hexDecode, hexEncode } from '../../bytes/index.js';
import type { Call } from '../call.js';
import { paramOf } from '../call.js';
import { failure } from '../failures.js';
import type { GatewaySecrets } from '../secrets.js';
import { tenantQuery } from '../signed-url.js';
import { sameDigest } from '../tokens.js';
import { SHA256_HEX } from './ids.js';

/**
 * URLs by which files of Git LFS are sent and fetched, `<base>/lfs-objects/<SHA-256>?…`: whoever has one
 * may do this one thing with this one file until it expires; some clients send no token there.
 */
export interface LfsGrant {
  readonly does: 'upload' | 'download';
  readonly oid: string;
  readonly sizeBytes: number;
  /** Key of the repository whose it becomes. */
  readonly repo: string;
  readonly expiresSeconds: number;
}

export const LFS_OBJECTS_PATH = '/lfs-objects/:oid';

export function lfsUrl(secrets: GatewaySecrets, baseUrl: string, grant: LfsGrant): string {
  const { does, oid, sizeBytes, repo, expiresSeconds } = grant;
  const signature = hexEncode(secrets.sign(signedText(grant)));
  return (
    `${baseUrl}/lfs-objects/${oid}?does=${does}&size=${sizeBytes}&repo=${encodeURIComponent(repo)}` +
    `&expires=${expiresSeconds}&signature=${signature}${tenantQuery(secrets)}`
  );
}

/** @throws OrbweaverError 403 */
export function verifyLfsUrl(
  call: Call,
  secrets: GatewaySecrets,
  unixMs: number,
  does: LfsGrant['does'],
): LfsGrant {
  const query = call.request.url.searchParams;
  const count = (name: string): number => {
    const text = query.get(name) ?? '';
    return /^\d{1,15}$/.test(text) ? Number(text) : -1;
  };
  const grant: LfsGrant = {
    ...{ does, oid: paramOf(call, 'oid'), repo: query.get('repo') ?? '' },
    sizeBytes: count('size'),
    expiresSeconds: count('expires'),
  };
  const signature = query.get('signature') ?? '';
  const given = SHA256_HEX.test(signature) ? hexDecode(signature) : new Uint8Array(0);
  if (!sameDigest(secrets.sign(signedText(grant)), given) || grant.sizeBytes < 0) {
    throw failure(403, 'FORBIDDEN', 'the URL is not signed for this');
  }
  if (unixMs > grant.expiresSeconds * 1000) {
    throw failure(403, 'FORBIDDEN', 'the URL has expired');
  }
  return grant;
}

const signedText = ({ does, oid, sizeBytes, repo, expiresSeconds }: LfsGrant): string =>
  `lfs ${does}\n${oid}\n${sizeBytes}\n${repo}\n${expiresSeconds}`;
