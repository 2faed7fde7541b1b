import { connect as connectPlain, isIP, type Socket, type TcpNetConnectOpts } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import {
  type ConnectOptions,
  limitConnecting,
  secureSettings,
  socketHost,
  socketSettings,
} from './connect.js';
import type { OnReadOptions } from './direct-connection.js';

/**
 * Makes a connection to the origin of a URL whose bytes go where `onread` says, or gives null: why
 * it cannot be made is told by whoever tries it next.
 */
export type DirectConnect = (url: URL, onread: OnReadOptions) => Promise<Socket | null>;

/** Connections under the same timeouts and rules as all others of the client. */
export function createDirectConnect(options: ConnectOptions): DirectConnect {
  const plain = socketSettings(options);
  return async (url, onread) => {
    const secure = url.protocol === 'https:';
    const host = socketHost(url);
    const port = Number(url.port || (secure ? 443 : 80));
    const settings = { ...plain, host, port, onread } as const;
    const open = secure ? await secureConnect(options, host) : connectPlain;
    return new Promise((resolve) => {
      const socket = open(settings);
      limitConnecting(socket, secure, options);
      socket.once('error', () => resolve(null));
      socket.once(secure ? 'secureConnect' : 'connect', () => resolve(socket));
    });
  };
}

/** TLS is loaded when it is first asked for. */
async function secureConnect(
  options: ConnectOptions,
  host: string,
): Promise<(settings: TcpNetConnectOpts) => Socket> {
  const { connect } = await import('node:tls');
  const extra = { ...secureSettings(options), servername: isIP(host) === 0 ? host : '' };
  return (settings) => connect({ ...settings, ...extra } as ConnectionOptions);
}
