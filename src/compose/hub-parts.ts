import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { Scope } from '../flow/index.js';
import type { Exchange } from '../http/index.js';
import { createHubHttp, type HubHttp, repoOf, xetAccess } from '../hub/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { createFileReads, createTargetWire, type FileReads } from '../transport/targets.js';
import { connectionOf, createClient, limitsOf } from './client.js';
import type { OrbweaverClient } from './client-types.js';
import type { HubOptions, HubRepoOptions, HubTransport, RepoAt } from './hub-types.js';
import { ratesOf } from './limits.js';

export const DEFAULT_HUB_URL = 'https://huggingface.co';
const DEFAULT_REVISION = 'main';

/** What the operations of a hub share. */
export interface HubParts {
  readonly http: HubHttp;
  /** Reads files from the Hub itself, as plain HTTP. */
  files(): FileReads;
  readonly options: HubOptions;
  /** `http` from the moment on in which the store was given up. */
  readonly transport: HubTransport;
  /** Gives the store up, for all that this hub does from then on. */
  giveUpStore(reason: string): void;
  /** Why it was; null: it was not. */
  readonly storeGivenUp: string | null;
  /**
   * A client of the store of a repository. It is there until what asked for it has run; the one that was asked
   * for last is kept.
   */
  clientOf(at: RepoAt, scope: 'read' | 'write', use?: ClientUse): Promise<OrbweaverClient>;
  /** Runs something that ends with the caller's signal, or with the hub. */
  run<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface ClientUse {
  /** To propose a change. @default false */
  readonly createPr?: boolean | undefined;
  /** Transfers that run side by side: a fixed number of requests is divided among them. @default 1 */
  readonly sharedBy?: number | undefined;
}

/** @throws TypeError for a wrong URL */
export function createHubParts(options: HubOptions): HubParts {
  const { hubUrl = DEFAULT_HUB_URL, accessToken: token, transport = 'auto' } = options;
  const { userAgent = 'orbweaver', proxy, noProxy, ca, fetch } = options;
  const url = checkHubUrl(hubUrl);
  // One cap for all that goes through this hub, whatever it is.
  const limits = limitsOf(options);
  const clientOptions = clientOptionsOf({ ...options, limits });
  const network = { proxy, noProxy, ca, fetch, rates: ratesOf(limits) };
  const wire = options.exchange === undefined ? createTargetWire(network) : null;
  const exchange = options.exchange ?? (wire as { exchange: Exchange }).exchange;
  const common = { clock: SYSTEM_CLOCK, random: systemRandom };
  const http = createHubHttp({ url, exchange, token, userAgent, ...common });
  const closing = new AbortController();
  const clients = new Map<string, Promise<OrbweaverClient>>();
  let lastKey = '';
  let running = 0;
  let way = transport;
  let givenUp: string | null = null;
  let reads: FileReads | null = null;

  /** A client that is closed cancels what it does, so it stays while anything runs. */
  const closeAllBut = async (keptKey: string | null): Promise<void> => {
    const others = [...clients].filter(([key]) => key !== keptKey);
    for (const [key] of others) clients.delete(key);
    await Promise.all(others.map(async ([, client]) => (await client.catch(() => null))?.close()));
  };
  return {
    http,
    files() {
      const connection = { ...clientOptions, userAgent, token: token ?? '' };
      reads ??= createFileReads(connectionOf(url.href, connection));
      return reads;
    },
    options,
    get transport() {
      return way;
    },
    giveUpStore(reason) {
      if (way !== 'auto') return;
      way = 'http';
      givenUp = reason;
      options.onWarning?.(`the store of ${url.host} is given up for plain HTTP: ${reason}`);
    },
    get storeGivenUp() {
      return givenUp;
    },
    async clientOf({ repo, revision }, scope, { createPr = false, sharedBy = 1 } = {}) {
      const fixed = options.concurrency;
      const concurrency = fixed && Math.max(1, Math.floor(fixed / sharedBy));
      const key = [repo.type, repo.name, scope, revision, createPr, concurrency].join(' ');
      lastKey = key;
      const present = clients.get(key);
      if (present !== undefined) return present;
      const opening = (async () => {
        const access = await xetAccess(http, repo, SYSTEM_CLOCK, {
          scope,
          revision,
          createPr,
          signal: closing.signal,
        });
        return createClient({ ...clientOptions, ...access, userAgent, concurrency });
      })();
      clients.set(key, opening);
      opening.catch(() => {
        if (clients.get(key) === opening) clients.delete(key);
      });
      return opening;
    },
    async run(signal, work) {
      if (closing.signal.aborted) {
        throw new OrbweaverError('CLOSED', 'the hub expected to be open, got a call after close()');
      }
      // One of its own: any number of listeners at one signal is a warning of Node.
      const both = AbortSignal.any(
        signal === undefined ? [closing.signal] : [signal, closing.signal],
      );
      const scope = new Scope({ clock: SYSTEM_CLOCK, signal: both, what: 'the transfer' });
      running++;
      let inner: Promise<unknown> = Promise.resolve();
      try {
        return await scope.call((signal) => {
          const running = work(signal);
          inner = running;
          return running;
        });
      } catch (error) {
        // What was cancelled says by which name it can be gone on with, a moment later.
        await inner.catch((reason: unknown) => {
          if (isOrbweaverError(reason) && reason.code === 'ABORTED') throw reason;
        });
        throw error;
      } finally {
        scope.close();
        if (--running === 0) await closeAllBut(lastKey);
      }
    },
    async close() {
      closing.abort();
      await closeAllBut(null);
      await reads?.close();
      wire?.close();
    },
  };
}

/** The repository and revision that options mean. @throws OrbweaverError `USAGE` */
export function repoAt({ repo, revision = DEFAULT_REVISION }: HubRepoOptions): RepoAt {
  return { repo: repoOf(repo), revision };
}

/** What of the options a client takes. */
function clientOptionsOf(options: HubOptions) {
  const {
    hubUrl: _,
    accessToken: __,
    transport: ___,
    onWarning: ____,
    limitUpload: _____,
    limitDownload: ______,
    exchange,
    ...rest
  } = options;
  return { ...rest, ...(exchange === undefined ? {} : { exchange }) };
}

function checkHubUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.username !== '') {
    throw new TypeError('"hubUrl" expected an http or https URL without query and user');
  }
  return url;
}
