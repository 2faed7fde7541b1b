import type { Clock } from '../../../flow/index.js';
import type { Exchange } from '../../../http/index.js';
import { checkOptions, is, type OptionRules } from '../../../options/index.js';
import type { RandomSource } from '../../../platform/index.js';
import { endpointOf, gotSecret, lengthText } from '../endpoint.js';
import { targetError } from '../errors.js';
import type { OpenSocket } from './task-sockets.js';

/** A burn transaction that has to be made before an upload can be registered. */
export interface BurnPayment {
  /** Coins, as the server wrote them. */
  readonly amount: string;
  /** Which one of how many, from 0. */
  readonly index: number;
  readonly count: number;
  readonly fileId: string;
  /**
   * The same for every try of this payment, in this run and in later ones: a wallet that keeps it
   * beside the transaction can say whether it was made.
   */
  readonly reference: string;
  readonly signal: AbortSignal;
}

/** A Cascade server and the account on it. */
export interface CascadeOptions {
  /** Base URL; https, except for loopback. A path ending in `/openapi/cascade` may be part of it. */
  readonly url: string;
  /** 86 letters and digits. */
  readonly pastelId: string;
  /** Of the PastelID: a wallet secret. Visible ASCII and spaces. */
  readonly passphrase: string;
  /** Must be true: every upload costs coins, and what was paid does not come back. */
  readonly acceptCost: boolean;
  /**
   * Makes one burn transaction and resolves with its id (64 hex digits). Called once per volume, one
   * after another, each after the one before is in the journal. To decline, throw an error with the
   * code `PAYMENT_REQUIRED`; every other error leaves open whether coins were spent.
   */
  readonly payBurn: (payment: BurnPayment) => Promise<string>;
  /**
   * Looks for a payment that may have been made when a run was killed: its transaction id, or null
   * when it was certainly not made. Without it such a transfer stops as `unknown-outcome`.
   * @default nobody knows
   */
  readonly findBurn?: ((payment: BurnPayment) => Promise<string | null>) | undefined;
  /** Everybody may read the file. @default false */
  readonly makePublic?: boolean | undefined;
  /** Address of 35 characters from which the server pays the rest. @default its own choice */
  readonly spendableAddress?: string | undefined;
  /** Upload API; 1 refuses files above the volume size of the server. @default 2 */
  readonly apiVersion?: 1 | 2 | undefined;
  /** Uploads a name that the server would mangle under a similar one, instead of refusing it. @default false */
  readonly safeName?: boolean | undefined;
  /** Coins that an upload may cost in all; more stops before paying. @default no limit */
  readonly maxFee?: number | undefined;
  /** A volume whose last attempt failed is given up when nothing changes for so long, ms. @default 3600000 */
  readonly stallMs?: number | undefined;
  /** Nothing changes at all for so long: `unknown-outcome`, ms. @default 86400000 */
  readonly patienceMs?: number | undefined;
  /** A start whose response was lost is looked for this long, ms. @default 120000 */
  readonly lookupMs?: number | undefined;
  /** Times between two looks, ms. @default 10000, growing to 60000 */
  readonly pollMs?: { readonly first: number; readonly most: number } | undefined;
  /**
   * Listens to what tasks say while they run (`openUndiciSocket`): words for the progress; nothing is
   * decided by them. @default nobody listens
   */
  readonly openSocket?: OpenSocket | undefined;
  /**
   * Only after a look at the server and the burn transactions: a start that an earlier run may have
   * sent, and of which the server shows nothing, is sent. @default false: it is an unknown outcome
   */
  readonly startWhenAbsent?: boolean | undefined;
  readonly exchange: Exchange;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Options that were checked, with their defaults. */
export interface CascadeSettings extends CascadeOptions {
  /** Ends with `/openapi/cascade`. */
  readonly api: URL;
  /** The URL before that. */
  readonly root: URL;
  readonly apiVersion: 1 | 2;
  readonly stallMs: number;
  readonly patienceMs: number;
  readonly lookupMs: number;
  readonly pollMs: { readonly first: number; readonly most: number };
}

const RULES: OptionRules<CascadeOptions> = {
  exchange: is.required(is.callback),
  clock: is.required(is.object),
  random: is.required(is.callback),
  url: is.required(is.text),
  pastelId: is.required(is.text),
  passphrase: is.required(is.text),
  acceptCost: is.required(is.flag),
  payBurn: is.required(is.callback),
  findBurn: is.callback,
  makePublic: is.flag,
  spendableAddress: is.text,
  apiVersion: is.integer(1, 2),
  safeName: is.flag,
  maxFee: is.number(0),
  stallMs: is.number(0),
  patienceMs: is.number(0),
  lookupMs: is.number(0),
  pollMs: is.object,
  openSocket: is.callback,
  startWhenAbsent: is.flag,
};

const PREFIX = '/openapi/cascade';
const MINUTE_MS = 60_000;

/**
 * @throws TypeError, RangeError for an option of the wrong form; OrbweaverError `PAYMENT_REQUIRED`
 * without `acceptCost`, `UNSAFE_URL` for http that leaves the machine
 */
export function cascadeSettings(
  options: CascadeOptions,
  owner = 'createCascadeTarget',
): CascadeSettings {
  checkOptions(owner, options, RULES);
  const url = endpointOf('cascade', options.url);
  if (!/^[A-Za-z0-9]{86}$/.test(options.pastelId)) {
    const got = lengthText(options.pastelId);
    throw new TypeError(`"pastelId" expected 86 letters and digits, got ${got}`);
  }
  if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(options.passphrase)) {
    const expected = 'visible ASCII characters, with spaces only between';
    throw new TypeError(`"passphrase" expected ${expected}, got ${gotSecret(options.passphrase)}`);
  }
  const { spendableAddress: address } = options;
  if (address !== undefined && !/^[A-Za-z0-9]{35}$/.test(address)) {
    const got = lengthText(address);
    throw new TypeError(`"spendableAddress" expected 35 letters and digits, got ${got}`);
  }
  const { apiVersion = 2 } = options;
  if (apiVersion !== 1 && apiVersion !== 2) {
    throw new RangeError(`"apiVersion" expected 1 or 2, got ${String(apiVersion)}`);
  }
  if (options.acceptCost !== true) {
    throw targetError({
      kind: 'cascade',
      class: 'payment-required',
      message: '"acceptCost" expected true: an upload to Cascade spends coins for good',
    });
  }
  const root = url.pathname.replace(/\/+$/, '').replace(/\/openapi\/cascade$/, '');
  return {
    ...options,
    api: new URL(`${root}${PREFIX}`, url),
    root: new URL(`${root}/`, url),
    apiVersion,
    stallMs: options.stallMs ?? 60 * MINUTE_MS,
    patienceMs: options.patienceMs ?? 24 * 60 * MINUTE_MS,
    lookupMs: options.lookupMs ?? 2 * MINUTE_MS,
    pollMs: options.pollMs ?? { first: 10_000, most: MINUTE_MS },
  };
}
