import { type Call, checkPrefix, hashParam } from './call.js';
import { answerDedupQuery } from './dedup-answer.js';
import { failure } from './failures.js';
import type { GatewayAnswer } from './ports.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** GET /v1/chunks/{prefix}/{chunk}: the keyed shard of `dedup-answer.ts`, or 404. */
export function chunkRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/chunks/:prefix/:chunk',
      scope: 'read',
      handle: async (call: Call): Promise<GatewayAnswer> => {
        checkPrefix(call);
        const chunk = hashParam(call, 'chunk');
        const answer = await answerDedupQuery(chunk, {
          ...services,
          nowMs: services.clock.nowMs(),
          onFault: (error) => services.fault(call, error),
        });
        if (answer === null) throw failure(404, 'NOT_FOUND', `chunk ${chunk} is not indexed`);
        const headers = {
          'content-type': 'application/octet-stream',
          'content-length': String(answer.length),
        };
        return { status: 200, headers, body: answer };
      },
    },
  ];
}
