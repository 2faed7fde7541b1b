import { OrbweaverError } from '../errors.js';
import {
  type CorsOptions,
  createDiskStore,
  createGateway,
  createNodeServer,
  createToken,
  type Gateway,
  type GatewayFault,
  type GatewayToken,
} from '../gateway/index.js';
import { type ComputeOptions, poolOf } from './options.js';

/** What {@link startGateway} is told. `maxMemory` is that of the gateway; half of it is the pool's. */
export interface StartGatewayOptions extends ComputeOptions {
  /** Folder that keeps xorbs, shards and files; made if missing. */
  readonly data: string;
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Port to listen on; 0 picks a free one. @default DEFAULT_PORT */
  readonly port?: number | undefined;
  /** Path below which the gateway lies. @default none */
  readonly prefix?: string | undefined;
  /** One token for both scopes. @default two random ones, one per scope */
  readonly token?: string | undefined;
  /** Base of the fetch URLs that responses name. @default the origin of each request and the prefix */
  readonly publicUrl?: string | undefined;
  /** Which web pages may talk to the gateway. @default none */
  readonly cors?: CorsOptions | undefined;
  /** Told of each request before it is handled: method and path, never a query or a token. */
  readonly onRequest?: ((request: { method: string; path: string }) => void) | undefined;
  /** Told of each response with a status of 500 or above, and of damaged data. */
  readonly onFault?: ((fault: GatewayFault) => void) | undefined;
  /** Told at the start what an operator should know: a folder that cannot be written, a full disk. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A gateway that listens. */
export interface RunningGateway {
  /** Base URL for clients on this machine. */
  readonly url: string;
  readonly readToken: string;
  /** Reads and writes. */
  readonly writeToken: string;
  /** Lets requests in flight finish, then stops. Safe to call twice. */
  close(): Promise<void>;
}

/** The smallest gateway: its parts are the smallest that work. */
const LEAST_MEMORY_BYTES = 32 * 1024 * 1024;

/**
 * Runs a gateway over a folder on disk, with uploads verified by a worker pool.
 *
 * @throws OrbweaverError `PORT_IN_USE`, `STORAGE_FAILED` when the folder cannot be made or used
 * @example
 * const gateway = await startGateway({ data: './store', port: 0 });
 * console.log(gateway.url);
 * await gateway.close();
 */
export async function startGateway(options: StartGatewayOptions): Promise<RunningGateway> {
  const { token, maxMemory } = options;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new OrbweaverError('USAGE', '"token" expected visible ASCII characters');
  }
  if (maxMemory !== undefined && !(maxMemory >= LEAST_MEMORY_BYTES)) {
    const message = `"maxMemory" expected at least ${LEAST_MEMORY_BYTES} bytes, got ${maxMemory}`;
    throw new OrbweaverError('USAGE', message);
  }
  const half = maxMemory === undefined ? undefined : Math.floor(maxMemory / 2);
  const readToken = token ?? createToken();
  const writeToken = token ?? createToken();
  const tokens: GatewayToken[] = [{ token: writeToken, scope: 'write', id: 'write token' }];
  if (token === undefined) tokens.push({ token: readToken, scope: 'read', id: 'read token' });

  const store = await createDiskStore(options.data);
  const { state, detail } = (await store.check?.()) ?? { state: 'ok', detail: '' };
  if (state !== 'ok') options.onWarning?.(`the store is ${state}: ${detail}`);
  const pool = await poolOf({ ...options, maxMemory: half });
  const closers = [() => pool.close(), async () => store.close?.()];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const gateway = createGateway({
      store,
      hasher: pool.kernels.hasher,
      codec: pool.kernels.codec,
      verifier: { receive: (pieces) => pool.receiveXorb(pieces) },
      tokens,
      options: {
        publicUrl: options.publicUrl,
        onFault: options.onFault,
        cors: options.cors,
        maxMemory: half,
      },
    });
    closers.push(() => gateway.close());
    const { host, port, prefix } = options;
    const server = await createNodeServer(watched(gateway, options), { host, port, prefix });
    closers.push(() => server.close());
    let closing: Promise<void> | undefined;
    return {
      url: server.url + (prefix ?? '').replace(/\/+$/, ''),
      readToken,
      writeToken,
      close: () => {
        closing ??= closeAll();
        return closing;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** The gateway, with its requests told to `onRequest`. */
function watched(
  gateway: Gateway,
  { onRequest }: Pick<StartGatewayOptions, 'onRequest'>,
): Pick<Gateway, 'mount'> {
  if (onRequest === undefined) return gateway;
  return {
    mount: (prefix) => {
      const exchange = gateway.mount(prefix);
      return (request) => {
        onRequest({ method: request.method, path: request.url.pathname });
        return exchange(request);
      };
    },
  };
}
