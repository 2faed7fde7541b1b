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
  readonly settings: Settings;
}

type Settings = Readonly<Record<string, string>>;

type Factory = (parts: TargetParts) => UploadTarget;

/** The targets that `--to KIND:URL` knows. */
const FACTORIES: Readonly<Partial<Record<TargetKind, Factory>>> = {
  multipart: ({ settings, ...parts }) =>
    createMultipartTarget({
      ...parts,
      dedup: flagOf(settings, 'dedup'),
      hash: oneOf(settings, 'hash', ['auto', 'md5-full']),
      trustFastHash: flagOf(settings, 'trustFastHash'),
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
      acceptCost: flagOf(settings, 'acceptCost') ?? false,
      makePublic: flagOf(settings, 'makePublic'),
      spendableAddress: settings['spendableAddress'],
      safeName: flagOf(settings, 'safeName'),
      startWhenAbsent: flagOf(settings, 'startWhenAbsent'),
      maxFee: numberOf(settings, 'maxFee'),
      lookupMs: numberOf(settings, 'lookupMs'),
      openSocket: flagOf(settings, 'sockets') === true ? openUndiciSocket : undefined,
      pollMs: pollMsOf(settings),
    }),
  startrail: ({ settings, token = '', ...parts }) =>
    createStartrailTarget({
      ...parts,
      apiKey: token,
      issuer: settings['issuer'] ?? '',
      // Checked by the target.
      category: settings['category'] as StartrailCategory | undefined,
      uniqueName: flagOf(settings, 'uniqueName'),
      safeName: flagOf(settings, 'safeName'),
      strictCid: flagOf(settings, 'strictCid'),
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
      throw new OrbweaverError('USAGE', settingText(error.message, known), {}, error);
    }
    throw error;
  }
}

/** A message about an option of a target in the words of who gives settings and a token. */
function settingText(message: string, known: readonly string[]): string {
  return message.replace(/^"(\w+)"/, (quoted, name: string) => {
    if (known.includes(name)) return `"settings.${name}"`;
    return name === 'passphrase' || name === 'apiKey' ? `"token" (the ${name})` : quoted;
  });
}

/** The first pause between two looks; the longest stays a minute. */
function pollMsOf(settings: Settings): { first: number; most: number } | undefined {
  const first = numberOf(settings, 'pollMs');
  return first === undefined ? undefined : { first, most: Math.max(first, 60_000) };
}

function numberOf(settings: Settings, name: string): number | undefined {
  const text = settings[name];
  if (text === undefined) return undefined;
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isFinite(number)) return number;
  throw new TypeError(`"${name}" expected a number, got "${text}"`);
}

function flagOf(settings: Settings, name: string): boolean | undefined {
  const text = oneOf(settings, name, ['true', 'false']);
  return text === undefined ? undefined : text === 'true';
}

function oneOf<T extends string>(
  settings: Settings,
  name: string,
  texts: readonly T[],
): T | undefined {
  const text = settings[name];
  const found = texts.find((each) => each === text);
  if (found !== undefined || text === undefined) return found;
  throw new TypeError(`"${name}" expected ${texts.join(' or ')}, got "${text}"`);
}
