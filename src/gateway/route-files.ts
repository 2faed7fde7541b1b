import type { HttpResponse } from '../http/index.js';
import { type Call, hashParam } from './call.js';
import { failure } from './failures.js';
import { emptyResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** HEAD /v1/files/{file}: `Content-Length` is the size of the file. */
export function fileRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'HEAD',
      path: '/v1/files/:file',
      scope: 'ask',
      handle: async (call: Call): Promise<HttpResponse> => {
        const hash = hashParam(call, 'file');
        const known = await services.files.get(hash);
        if (known === null) throw failure(404, 'NOT_FOUND', `file ${hash} is not registered`);
        return emptyResponse(200, { 'content-length': String(known.sizeBytes) });
      },
    },
  ];
}
