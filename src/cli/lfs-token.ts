import { OrbweaverError } from '../errors.js';
import type { ClientOptions, TokenSource } from '../index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { CliContext } from './context.js';

/** What git-lfs was told to do with a file, as far as it is about tokens. Names of headers in lower case. */
export interface LfsAccess {
  /** Where the server gives another token. */
  readonly href: string | undefined;
  readonly header: Readonly<Record<string, string>>;
  /** The store. */
  readonly endpoint: string;
  readonly accessToken: string;
}

/** A token is replaced when it has less than this left: requests on their way still use it. */
const MARGIN_MS = 60_000;

/**
 * The token of an action, and another one when its hour is over, which one large file may take: asked for
 * where the action says, with what that server may see. That is what it has given for the purpose, the token of
 * the Hub at the Hub's own address, or the token itself at the address of the store.
 */
export function lfsToken(
  { href, header, endpoint, accessToken }: LfsAccess,
  { proxy, noProxy, ca }: ClientOptions,
  context: CliContext,
): TokenSource {
  const { env, signal } = context;
  const end = Number(header['x-xet-token-expiration'] ?? Number.NaN);
  let token = accessToken;
  let endMs = Number.isFinite(end) ? end * 1000 : Number.POSITIVE_INFINITY;
  let renewing: Promise<string> | null = null;

  const bearer = async (url: URL): Promise<string | undefined> => {
    const given = /^Bearer (\S+)$/i.exec(header['authorization'] ?? '')?.[1];
    if (given !== undefined) return given;
    const [{ DEFAULT_HUB_URL }, { hubTokenOf }] = await Promise.all([
      import('../hub.js'),
      import('./hub.js'),
    ]);
    const hub = env['HF_ENDPOINT'] || DEFAULT_HUB_URL;
    if (URL.canParse(hub) && new URL(hub).origin === url.origin) return hubTokenOf(env);
    return new URL(endpoint).origin === url.origin ? token : undefined;
  };
  const renew = async (): Promise<string> => {
    if (href === undefined || !/^https?:/.test(href) || !URL.canParse(href)) return token;
    const asking = await bearer(new URL(href));
    if (asking === undefined) return token;
    const { storeTokenFrom } = await import('../hub.js');
    const granted = await storeTokenFrom({ url: href, bearer: asking, signal, proxy, noProxy, ca });
    if (new URL(granted.endpoint).origin !== new URL(endpoint).origin) {
      throw new OrbweaverError('PROTOCOL', `${href} gives tokens of another store`);
    }
    ({ token, endMs } = granted);
    return token;
  };
  const once = (): Promise<string> => {
    renewing ??= renew().finally(() => {
      renewing = null;
    });
    return renewing;
  };
  return {
    async get() {
      if (endMs - SYSTEM_CLOCK.unixMs() > MARGIN_MS) return token;
      return once().catch((error: unknown) => {
        // Good for a while yet.
        if (endMs > SYSTEM_CLOCK.unixMs()) return token;
        throw error;
      });
    },
    refresh: once,
  };
}
