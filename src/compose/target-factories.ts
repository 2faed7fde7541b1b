import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { Exchange } from '../http/index.js';
import type { RandomSource } from '../platform/index.js';
import {
  createCascadeTarget,
  createMultipartTarget,
  createStartrailTarget,
  openUndiciSocket,
  type StartrailCategory,
  type TargetKind,
  type UploadTarget,
} from '../transport/targets.js';
import { commandWallet } from './command-wallet.js';

/** What every target is made with. */
export interface TargetParts {
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly url: string;
  /** The secret of this target: a token, passphrase or key. */
  readonly token: string | undefined;
  /** Settings of this kind of target, by name, as texts. */
  readonly settings: Readonly<Record<string, string>>;
}

type Factory = (parts: TargetParts) => UploadTarget;

/** The targets that `--to KIND:URL` knows. */
const FACTORIES: Readonly<Partial<Record<TargetKind, Factory>>> = {
  multipart: ({ settings, ...parts }) =>
    createMultipartTarget({
      ...parts,
      dedup: settings['dedup'] !== 'false',
      hash: settings['hash'] === 'md5-full' ? 'md5-full' : 'auto',
      trustFastHash: settings['trustFastHash'] === 'true',
      chunkBytes: numberOf(settings, 'chunkBytes'),
      parallelParts: numberOf(settings, 'parallelParts'),
      contentType: settings['contentType'],
      poolId: settings['poolId'],
      bundleId: settings['bundleId'],
      parentId: settings['parentId'],
      usage: settings['usage'],
      expiredAt: settings['expiredAt'],
    }),
  cascade: ({ settings, token = '', ...parts }) =>
    createCascadeTarget({
      ...parts,
      ...commandWallet(settings),
      passphrase: token,
      pastelId: settings['pastelId'] ?? '',
      acceptCost: settings['acceptCost'] === 'true',
      makePublic: settings['makePublic'] === 'true',
      spendableAddress: settings['spendableAddress'],
      safeName: settings['safeName'] === 'true',
      startWhenAbsent: settings['startWhenAbsent'] === 'true',
      maxFee: numberOf(settings, 'maxFee'),
      lookupMs: numberOf(settings, 'lookupMs'),
      openSocket: settings['sockets'] === 'true' ? openUndiciSocket : undefined,
      pollMs: pollMsOf(settings),
    }),
  startrail: ({ settings, token = '', ...parts }) =>
    createStartrailTarget({
      ...parts,
      apiKey: token,
      issuer: settings['issuer'] ?? '',
      // Checked by the target.
      category: settings['category'] as StartrailCategory | undefined,
      uniqueName: settings['uniqueName'] === 'true',
      safeName: settings['safeName'] === 'true',
      strictCid: settings['strictCid'] === 'true',
      maxBytes: numberOf(settings, 'maxBytes'),
      pollMs: pollMsOf(settings),
    }),
};

/** Names of settings that each kind takes. */
const SETTINGS: Readonly<Partial<Record<TargetKind, readonly string[]>>> = {
  multipart: [
    'dedup',
    'hash',
    'trustFastHash',
    'chunkBytes',
    'parallelParts',
    'contentType',
    'poolId',
    'bundleId',
    'parentId',
    'usage',
    'expiredAt',
  ],
  cascade: [
    'pastelId',
    'acceptCost',
    'payCommand',
    'findCommand',
    'makePublic',
    'spendableAddress',
    'safeName',
    'startWhenAbsent',
    'maxFee',
    'lookupMs',
    'sockets',
    'pollMs',
  ],
  startrail: ['issuer', 'category', 'uniqueName', 'safeName', 'strictCid', 'maxBytes', 'pollMs'],
};

/** `KIND:URL` taken apart. */
export interface TargetAddress {
  readonly kind: TargetKind;
  readonly url: string;
}

/** @throws OrbweaverError `USAGE` */
export function parseTargetAddress(text: string): TargetAddress {
  const match = /^([a-z0-9]+):(https?:\/\/.+)$/i.exec(text);
  const kind = match?.[1]?.toLowerCase() as TargetKind | undefined;
  if (match === null || kind === undefined || FACTORIES[kind] === undefined) {
    const kinds = Object.keys(FACTORIES).map((each) => `${each}:URL`);
    throw new OrbweaverError('USAGE', `the target expected ${kinds.join(' or ')}, got "${text}"`);
  }
  const url = match[2] as string;
  if (!URL.canParse(url)) {
    throw new OrbweaverError(
      'USAGE',
      `the target expected ${kind}:URL, got something that is no URL`,
    );
  }
  // It is written into journals, where no secret may be.
  const { username, password, search, hash } = new URL(url);
  if (username + password + search + hash !== '') {
    throw new OrbweaverError(
      'USAGE',
      'the target expected a URL without user, password, query and fragment',
    );
  }
  return { kind, url };
}

/** @throws OrbweaverError `USAGE` for settings that this kind does not have or cannot be */
export function createTarget(kind: TargetKind, parts: TargetParts): UploadTarget {
  const factory = FACTORIES[kind];
  if (factory === undefined) throw new OrbweaverError('USAGE', `no target is called "${kind}"`);
  const known = SETTINGS[kind] ?? [];
  for (const name of Object.keys(parts.settings)) {
    if (!known.includes(name)) {
      throw new OrbweaverError(
        'USAGE',
        `${kind} expected settings out of ${known.join(', ')}, got "${name}"`,
      );
    }
  }
  try {
    return factory(parts);
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) {
      throw new OrbweaverError('USAGE', error.message, {}, error);
    }
    throw error;
  }
}

/** The first pause between two looks; the longest stays a minute. */
function pollMsOf(
  settings: Readonly<Record<string, string>>,
): { first: number; most: number } | undefined {
  const first = numberOf(settings, 'pollMs');
  return first === undefined ? undefined : { first, most: Math.max(first, 60_000) };
}

function numberOf(settings: Readonly<Record<string, string>>, name: string): number | undefined {
  const text = settings[name];
  return text === undefined ? undefined : Number(text);
}
