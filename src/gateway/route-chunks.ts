import { type Call, checkPrefix, hashParam } from './call.js';
import { answerDedupQuery } from './dedup-answer.js';
import { failure } from './failures.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** GET /v1/chunks/{prefix}/{chunk}: the keyed shard of `dedup-answer.ts`, or 404. */
export function chunkRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/chunks/:prefix/:chunk',
      scope: 'read',
      handle: async (call: Call): Promise<Response> => {
        checkPrefix(call);
        const chunk = hashParam(call, 'chunk');
        const answer = await answerDedupQuery(chunk, {
          ...services,
          nowMs: services.clock.nowMs(),
          onFault: (error) => services.fault(call.request, error),
        });
        if (answer === null) throw failure(404, 'NOT_FOUND', `chunk ${chunk} is not indexed`);
        return new Response(answer as Uint8Array<ArrayBuffer>, {
          status: 200,
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(answer.length),
          },
        });
      },
    },
  ];
}
