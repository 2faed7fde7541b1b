import type { ByteRange, RangeReader } from '../client/ports.js';
import { createCallScopes } from './call-scopes.js';
import { outsideOf } from './cas-client.js';
import { type CasClientOptions, checkCasClientOptions } from './options.js';
import { createReadRanges } from './read-ranges.js';
import { createContext } from './store-client.js';

/**
 * Reads files as plain HTTP from a server that gives them itself or redirects to where they are, with all
 * that a client of a store has: the table of what is tried again, pauses that are asked for, a token that is
 * refreshed and goes to the server alone, silence that ends a connection, and rates.
 */
export interface FileReads {
  /** Bytes of what lies at a URL, nearly always of the server; a connection that breaks goes on where it was. */
  read(
    url: string,
    range: ByteRange,
    options: { readonly signal: AbortSignal; readonly onRequest?: (() => void) | undefined },
  ): RangeReader;
  close(): Promise<void>;
}

/** @throws TypeError, RangeError for options that cannot work; `endpoint` is the server */
export function createFileReads(options: CasClientOptions): FileReads {
  const checked = checkCasClientOptions(options);
  const scopes = createCallScopes(checked.clock);
  const { context, wire } = createContext(checked, outsideOf(checked), scopes);
  const readRanges = createReadRanges(context);
  return {
    read: (url, range, { signal, onRequest }) =>
      readRanges(url, [range], {
        onRequest,
        object: {
          name: 'a file',
          isAtEndpoint: URL.canParse(url) && new URL(url).origin === checked.endpoint.origin,
          maxBytes: range.end,
        },
        openScope: () => scopes.open(signal),
      }),
    async close() {
      scopes.close();
      await wire.close();
    },
  };
}
