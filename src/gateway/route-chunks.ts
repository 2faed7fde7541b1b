import { Scope } from '../flow/index.js';
import { type Body, bytesBody, type HttpResponse } from '../http/index.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import type { Loan } from './dedup-responses.js';
import { failure } from './failures.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** GET /v1/chunks/{prefix}/{chunk}: the keyed shard of `dedup-build.ts`, or 404. */
export function chunkRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/chunks/:prefix/:chunk',
      scope: 'read',
      handle: async (call: Call): Promise<HttpResponse> => {
        checkPrefix(call);
        const chunk = hashParam(call, 'chunk');
        const scope = new Scope({ signal: call.request.signal, what: 'the request' });
        try {
          const found = await services.dedup.find(chunk, {
            tenant: call.principal?.tenant,
            scope,
            onFault: (error) => services.fault(call, error),
          });
          if (found === null) throw failure(404, 'NOT_FOUND', `chunk ${chunk} is not indexed`);
          const headers = {
            'content-type': 'application/octet-stream',
            'content-length': String(found.bytes.length),
          };
          return { status: 200, headers, body: lentBody(found) };
        } finally {
          scope.close();
        }
      },
    },
  ];
}

/** Gives the bytes back when they were read, or nobody wants them any more. */
function lentBody({ bytes, giveBack }: Loan): Body {
  const body = bytesBody(bytes);
  return {
    sizeBytes: bytes.length,
    async fill(into) {
      const count = await body.fill(into);
      if (count === 0) giveBack();
      return count;
    },
    nextView(maxBytes) {
      const view = body.nextView?.(maxBytes) ?? new Uint8Array(0);
      if (view.length === 0) giveBack();
      return view;
    },
    cancel(reason) {
      body.cancel(reason);
      giveBack();
    },
  };
}
