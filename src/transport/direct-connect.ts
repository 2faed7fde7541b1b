import type { buildConnector as Connector } from 'undici';
import { type ConnectOptions, connectorSettings } from './connect.js';
import type { OnReadOptions } from './direct-connection.js';
import { buildConnector } from './undici.js';

/** Makes a connection to the origin of a URL whose bytes go where `onread` says, or fails. */
export type DirectConnect = (url: URL, onread: OnReadOptions, done: Connector.Callback) => void;

/** Connections under the same timeouts and rules as all others of the client. */
export function createDirectConnect(options: ConnectOptions): DirectConnect {
  return (url, onread, done) => {
    const settings = connectorSettings(options, options.policy.isTrustedHost(url.hostname));
    // What is not for undici itself goes on to `net.connect` and `tls.connect`.
    const connect = buildConnector({ ...settings, onread } as Connector.BuildOptions);
    const { hostname, host, protocol, port } = url;
    connect({ hostname: hostname.replace(/^\[|\]$/g, ''), host, protocol, port }, done);
  };
}
