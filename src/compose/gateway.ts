import { OrbweaverError } from '../errors.js';
import {
  createDiskStore,
  createGateway,
  createNodeServer,
  createRandomBytes,
  createToken,
  type GatewayAnswer,
  type GatewayFault,
  type GatewayRequest,
  type GatewayToken,
} from '../gateway/index.js';
import { type ComputeOptions, poolOf } from './options.js';

/** What {@link startGateway} is told. */
export interface StartGatewayOptions extends ComputeOptions {
  /** Folder that keeps xorbs, shards and files; made if missing. */
  readonly data: string;
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Port to listen on; 0 picks a free one. @default DEFAULT_PORT */
  readonly port?: number | undefined;
  /** One token for both scopes. @default two random ones, one per scope */
  readonly token?: string | undefined;
  /** Base of the fetch URLs that answers name. @default the origin of each request */
  readonly publicUrl?: string | undefined;
  /** Told of each request before it is handled: method and path, never a query or a token. */
  readonly onRequest?: ((request: { method: string; path: string }) => void) | undefined;
  /** Told of each answer with a status of 500 or above. */
  readonly onFault?: ((fault: GatewayFault) => void) | undefined;
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
  const { token, onRequest } = options;
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new OrbweaverError('USAGE', '"token" expected visible ASCII characters');
  }
  const random = createRandomBytes();
  const readToken = token ?? createToken(random);
  const writeToken = token ?? createToken(random);
  const tokens: GatewayToken[] = [{ token: writeToken, scope: 'write' }];
  if (token === undefined) tokens.push({ token: readToken, scope: 'read' });

  const store = await createDiskStore(options.data);
  const pool = await poolOf(options);
  const gateway = createGateway({
    store,
    hasher: pool.kernels.hasher,
    codec: pool.kernels.codec,
    verifier: { receive: (pieces) => pool.receiveXorb(pieces) },
    random,
    tokens,
    options: { publicUrl: options.publicUrl, onFault: options.onFault },
  });
  const answer = (request: GatewayRequest): Promise<GatewayAnswer> => {
    onRequest?.({ method: request.method, path: request.path });
    return gateway.answer(request);
  };
  try {
    const server = await createNodeServer(
      { ...gateway, answer },
      { host: options.host, port: options.port },
    );
    let closing: Promise<void> | undefined;
    return {
      url: server.url,
      readToken,
      writeToken,
      close: () => {
        closing ??= (async () => {
          await server.close();
          await gateway.close();
          await store.close?.();
          await pool.close();
        })();
        return closing;
      },
    };
  } catch (error) {
    await gateway.close();
    await pool.close();
    throw error;
  }
}
