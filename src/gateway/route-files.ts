import type { HttpResponse } from '../http/index.js';
import { type Call, hashParam } from './call.js';
import { emptyResponse } from './responses.js';
import { registeredFile } from './route-reconstructions.js';
import type { Route } from './router.js';
import { allows } from './scopes.js';
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
        // Who may not read has nothing brought here.
        const mayRead = allows(call.principal?.scope ?? 'append', 'read');
        const upstream = mayRead ? services.upstream : null;
        const known = await registeredFile({ files: services.files, upstream }, hash);
        return emptyResponse(200, { 'content-length': String(known.sizeBytes) });
      },
    },
  ];
}
