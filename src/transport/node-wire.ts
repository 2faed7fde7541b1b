import { type ClientRequest, Agent as HttpAgent, request } from 'node:http';
import type { Socket } from 'node:net';
import {
  type ConnectOptions,
  limitConnecting,
  secureSettings,
  socketHost,
  socketSettings,
} from './connect.js';
import { readerOf } from './incoming-reader.js';
import {
  joinedHeader,
  type Wire,
  type WireAnswer,
  type WireBody,
  type WireCall,
  type WireRequest,
} from './wire.js';

/** Idle connections are kept this long unless the server announces less. */
const KEEP_ALIVE_MS = 10_000;

/** What requests of one protocol are made with. */
interface Protocol {
  readonly agent: HttpAgent;
  readonly request: typeof request;
}

/**
 * The usual way: HTTP/1.1 over `node:http`, one transfer per connection, each with the whole window
 * of TCP for itself. Its parser is native: nothing is compiled at run time for the few hundred short
 * answers of a session, and it loads in a tenth of the time that a client in JavaScript takes. There
 * are no timeouts on heads and bodies, because they count time and not progress.
 */
export function createNodeWire(options: ConnectOptions): Wire {
  const plain: Protocol = {
    agent: limited(new HttpAgent(agentSettings(options)), false, options),
    request,
  };
  let secure: Protocol | null = null;

  /** TLS is loaded when it is first asked for. */
  const loadSecure = async (): Promise<Protocol> => {
    const https = await import('node:https');
    const agent = new https.Agent({ ...agentSettings(options), ...secureSettings(options) });
    secure ??= { agent: limited(agent, true, options), request: https.request };
    return secure;
  };

  return {
    send(wanted) {
      if (wanted.url.protocol === 'http:') return sendOver(plain, wanted);
      if (secure !== null) return sendOver(secure, wanted);
      return delayed(loadSecure().then((protocol) => () => sendOver(protocol, wanted)));
    },
    async close() {
      plain.agent.destroy();
      secure?.agent.destroy();
    },
  };
}

function sendOver(protocol: Protocol, { url, method, headers, body }: WireRequest): WireCall {
  const outgoing = protocol.request({
    agent: protocol.agent,
    host: socketHost(url),
    port: url.port,
    path: url.pathname + url.search,
    method,
    headers: {
      host: url.host,
      ...headers,
      ...(body === null ? {} : { 'content-length': body.sizeBytes }),
    },
  });
  const answer = new Promise<WireAnswer>((resolve, reject) => {
    outgoing.on('response', (incoming) => {
      resolve({
        status: incoming.statusCode ?? 0,
        header: (name) => joinedHeader(incoming.headers[name]),
        read: readerOf(incoming),
      });
    });
    // After the answer this is nobody's news: the body ends with an error of its own.
    outgoing.on('error', reject);
  });
  if (body === null) outgoing.end();
  else sendBody(outgoing, body).catch(() => {});
  return {
    answer,
    destroy: () => {
      outgoing.destroy();
    },
  };
}

/** A call that cannot begin yet. */
function delayed(begin: Promise<() => WireCall>): WireCall {
  let call: WireCall | null = null;
  let destroyed = false;
  return {
    answer: begin.then((send) => {
      call = send();
      if (destroyed) call.destroy();
      return call.answer;
    }),
    destroy() {
      destroyed = true;
      call?.destroy();
    },
  };
}

function agentSettings(options: ConnectOptions): ConstructorParameters<typeof HttpAgent>[0] {
  const settings = socketSettings(options);
  return {
    ...settings,
    keepAliveMsecs: settings.keepAliveInitialDelay,
    // Of idle connections only: nothing listens to it while a request runs.
    timeout: KEEP_ALIVE_MS,
  } as ConstructorParameters<typeof HttpAgent>[0];
}

/** The agent, with a limit for each of its connections to stand. */
function limited(agent: HttpAgent, secure: boolean, options: ConnectOptions): HttpAgent {
  const create = agent.createConnection;
  agent.createConnection = (...all) => {
    const socket = create.apply(agent, all);
    if (socket !== null && socket !== undefined) limitConnecting(socket as Socket, secure, options);
    return socket;
  };
  return agent;
}

/** @throws when the connection breaks, which the request tells as well */
async function sendBody(outgoing: ClientRequest, { writes, sizeBytes }: WireBody): Promise<void> {
  let sentBytes = 0;
  for (const bytes of writes) {
    await new Promise<void>((resolve, reject) => {
      outgoing.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
    sentBytes += bytes.length;
  }
  // Otherwise the connection stays in the middle of the request, so that nothing else goes over it.
  if (sentBytes === sizeBytes) outgoing.end();
}
