import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Gateway } from './gateway.js';
import { createNodeListener } from './node-listener.js';

/** A gateway as a plugin of Fastify. Its types are those parts of Fastify's that it uses. */

/** What is used of a Fastify instance. */
export interface FastifyLike {
  readonly prefix: string;
  removeAllContentTypeParsers(): unknown;
  addContentTypeParser(
    type: string,
    parser: (
      request: never,
      payload: never,
      done: (error: Error | null, body?: unknown) => void,
    ) => void,
  ): unknown;
  route(route: {
    method: string[];
    url: string;
    handler: (
      request: { raw: IncomingMessage },
      reply: { raw: ServerResponse; hijack(): unknown },
    ) => void;
  }): unknown;
}

/**
 * Serves the gateway below the prefix of the plugin. Bodies go to the gateway unread, whatever
 * parsers the application has; hooks of the application run before it as before any route.
 *
 * @example
 * await app.register(createFastifyPlugin(gateway), { prefix: '/xet' });
 */
export function createFastifyPlugin(
  gateway: Pick<Gateway, 'mount'>,
): (instance: FastifyLike, options: unknown, done: () => void) => void {
  return (instance, _options, done) => {
    const listener = createNodeListener(gateway, { prefix: instance.prefix });
    instance.removeAllContentTypeParsers();
    instance.addContentTypeParser('*', (_request, _payload, parsed) => parsed(null));
    instance.route({
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: '/*',
      handler: (request, reply) => {
        reply.hijack();
        listener(request.raw, reply.raw);
      },
    });
    done();
  };
}
