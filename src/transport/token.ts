import { OrbweaverError } from '../errors.js';
import type { Masker } from './mask.js';
import type { TokenSource } from './ports.js';

/**
 * The CAS token as the calls see it: read for every attempt, refreshed by one call at a time, and
 * made known to the masker before anything can be said about it.
 */
export interface Tokens {
  /** The token to send now; empty when the server is used without one. */
  current(): Promise<string>;
  /**
   * A token other than `refused`, or null when there is none. Calls that were refused together
   * share one refresh.
   */
  after(refused: string): Promise<string | null>;
}

/** Visible ASCII: what a bearer token consists of, and nothing that could break a header. */
const TOKEN_PATTERN = /^[\x21-\x7e]*$/;

/** @throws TypeError when a fixed token cannot be sent in a header */
export function createTokens(source: TokenSource | string, masker: Masker): Tokens {
  if (typeof source === 'string') {
    if (!TOKEN_PATTERN.test(source)) {
      throw new TypeError('"token" expected visible ASCII characters only');
    }
    masker.add(source);
    return { current: async () => source, after: async () => null };
  }
  let refreshing: Promise<string> | null = null;
  const checked = async (read: () => Promise<string>): Promise<string> => {
    const token = await read();
    if (typeof token !== 'string' || !TOKEN_PATTERN.test(token)) {
      throw new OrbweaverError(
        'AUTH_REQUIRED',
        '"token" expected visible ASCII characters only, got something else from its source',
      );
    }
    masker.add(token);
    return token;
  };
  const refresh = (): Promise<string> => {
    refreshing ??= checked(() => source.refresh?.() ?? source.get()).finally(() => {
      refreshing = null;
    });
    return refreshing;
  };
  return {
    current: () => refreshing ?? checked(() => source.get()),
    async after(refused) {
      const known = await (refreshing ?? checked(() => source.get()));
      if (known !== refused) return known;
      if (source.refresh === undefined) return null;
      const fresh = await refresh();
      return fresh === refused ? null : fresh;
    },
  };
}
