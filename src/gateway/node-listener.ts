import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../flow/index.js';
import type { Exchange, HttpResponse } from '../http/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { type FreeBytes, SYSTEM_CLOCK } from '../platform/index.js';
import type { Gateway } from './gateway.js';
import { createTrustedProxies } from './node-proxies.js';
import { type Incoming, toRequest } from './node-request.js';
import { createSendBuffers, sendResponse } from './node-response.js';
import { type MountOptions, mountPrefix } from './web.js';

/** Settings of {@link createNodeListener}. */
export interface NodeListenerOptions extends MountOptions {
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /**
   * Addresses and networks (CIDR) of proxies whose `X-Forwarded-Proto`, `-Host` and `-For` are believed.
   * @default none
   */
  readonly trustedProxies?: readonly string[] | undefined;
}

export const LISTENER_RULES: OptionRules<NodeListenerOptions> = {
  prefix: is.text,
  clock: is.object,
  trustedProxies: is.texts,
};

/** A gateway as a listener of `node:http`, and of what is built on it. */

/**
 * Handles one request. `next` is what Express passes: it gets what does not lie below the prefix.
 */
export type NodeListener = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** Of a body that nobody wants, this much is still read, so that its sender sees the response. */
const MAX_DISCARDED_BYTES = 80 * 1024 * 1024;
/** And for this long. */
const MAX_DISCARD_MS = 30_000;

const BAD_REQUEST: HttpResponse = { status: 400, headers: {}, body: null };

/**
 * A `(request, response)` listener for a server of your own: `node:http`, `node:https`, Express,
 * Connect. Express takes the path it is mounted under out of `request.url`; that path is the prefix
 * when none is given. A body that a parser has read already is used as the parser left it.
 *
 * @throws TypeError for a prefix that is no path, for trusted proxies that are no networks
 * @example
 * const server = http.createServer(createNodeListener(gateway, { prefix: '/xet' }));
 * @example
 * app.use('/xet', createNodeListener(gateway));
 */
export function createNodeListener(
  gateway: Pick<Gateway, 'mount'>,
  options: NodeListenerOptions = {},
): NodeListener {
  checkOptions('createNodeListener', options, LISTENER_RULES);
  const handle = createIncomingHandler(gateway, options);
  return (request, response, next) => handle(incomingOf(request, response), next);
}

/** A request that has just come in. */
export function incomingOf(
  request: IncomingMessage,
  response: ServerResponse,
  expectsContinue = false,
  freePiece: FreeBytes | null = null,
): Incoming {
  return { request, response, expectsContinue, waitsForClient: false, discards: false, freePiece };
}

/** The listener over what a server keeps of a request. `isClosing`: connections are not kept. */
export function createIncomingHandler(
  gateway: Pick<Gateway, 'mount'>,
  options: NodeListenerOptions,
  isClosing: () => boolean = () => false,
): (incoming: Incoming, next?: (error?: unknown) => void) => void {
  const prefix = options.prefix === undefined ? null : mountPrefix(options.prefix);
  const clock = options.clock ?? SYSTEM_CLOCK;
  const proxies = createTrustedProxies(options.trustedProxies ?? []);
  const buffers = createSendBuffers();
  let latest = { below: '', exchange: gateway.mount('') };
  const exchangeBelow = (below: string): Exchange => {
    if (latest.below !== below) latest = { below, exchange: gateway.mount(below) };
    return latest.exchange;
  };

  return (incoming, next) => {
    const { request } = incoming;
    const { baseUrl = '', originalUrl } = request as { baseUrl?: string; originalUrl?: string };
    const below = prefix ?? mountPrefix(baseUrl);
    const target = originalUrl ?? request.url ?? '';
    if (next !== undefined && !target.startsWith(`${below}/`)) next();
    else void handle(incoming, target, exchangeBelow(below));
  };

  async function handle(incoming: Incoming, target: string, exchange: Exchange): Promise<void> {
    const { response } = incoming;
    try {
      const asked = toRequest(incoming, target, proxies);
      let result = asked === null ? BAD_REQUEST : await exchange(asked);
      // A body that was announced and not asked for may or may not follow: nobody could tell it from
      // the next request.
      if (isClosing() || incoming.expectsContinue) {
        result = { ...result, headers: { ...result.headers, connection: 'close' } };
      }
      await sendResponse(result, incoming, buffers);
      discardRest(incoming, result.headers['connection'] === 'close', clock);
    } catch {
      // The response broke off: a cut connection is the only way to say so after the status.
      response.destroy();
    }
  }
}

/**
 * Reads what is left of a body that was answered already and drops it: closing the connection on
 * bytes under way would reset it, and the client might never see the response. Bounded in bytes and
 * in time; a body that would not come is not waited for at all.
 */
function discardRest(incoming: Incoming, isLast: boolean, clock: Clock): void {
  const { request, response } = incoming;
  if (request.complete || request.destroyed) return;
  incoming.discards = true;
  incoming.waitsForClient = true;
  const cut = (): void => {
    request.socket.destroy();
  };
  if (isLast && response.statusCode === 408) {
    response.once('finish', cut);
    if (response.writableFinished) cut();
    return;
  }
  const stopTimer = clock.setTimer(MAX_DISCARD_MS, cut);
  request.once('close', stopTimer);
  request.once('end', stopTimer);
  let discardedBytes = 0;
  request.on('data', (chunk: Uint8Array) => {
    discardedBytes += chunk.length;
    if (discardedBytes > MAX_DISCARDED_BYTES) cut();
  });
  request.resume();
}
