import { Scope } from '../flow/index.js';
import type { HttpResponse } from '../http/index.js';
import { fileChunkHashesTexts } from '../plan/index.js';
import { type Call, hashParam } from './call.js';
import { fileChunkHashes } from './chunk-hashes.js';
import { rejected } from './failures.js';
import { type ByteSpan, parseRange } from './ranges.js';
import { jsonTextsResponse } from './responses.js';
import { registeredFile } from './route-reconstructions.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/**
 * GET /v2/file-chunk-hashes/{file} with `X-Range-Dirty: bytes=a-b,c-d`: what stays of a file when those
 * bytes change (`chunk-hashes.ts`). Ranges are cut at the end of the file; 400 when none is left.
 */
export function chunkHashRoutes(services: GatewayServices): Route[] {
  return [
    {
      method: 'GET',
      path: '/v2/file-chunk-hashes/:file',
      scope: 'read',
      compress: true,
      handle: async (call: Call): Promise<HttpResponse> => {
        const file = await registeredFile(services, hashParam(call, 'file'));
        const dirty = dirtyRanges(call.request.headers['x-range-dirty'], file.sizeBytes);
        const scope = new Scope({ signal: call.request.signal, what: 'the request' });
        try {
          const hashes = await services.planTurns.take(scope, () =>
            fileChunkHashes(services, file, dirty),
          );
          const entryCount = hashes.gaps.length + hashes.gapVerification.length;
          return jsonTextsResponse(entryCount, () => fileChunkHashesTexts(hashes));
        } finally {
          scope.close();
        }
      },
    },
  ];
}

/** @throws OrbweaverError 400 */
function dirtyRanges(header: string | undefined, sizeBytes: number): ByteSpan[] {
  // Not against the size: a range behind the end is left out here, not an error.
  const asked = parseRange(header, Number.MAX_SAFE_INTEGER);
  if (asked.kind !== 'ranges') {
    throw rejected('"x-range-dirty" expected "bytes=" and ranges of the file, first to last byte');
  }
  const dirty = asked.ranges
    .filter(({ start }) => start < sizeBytes)
    .map(({ start, end }) => ({ start, end: Math.min(end, sizeBytes) }));
  if (dirty.length === 0) {
    throw rejected(`"x-range-dirty" expected a range in the ${sizeBytes} bytes of the file`);
  }
  return dirty;
}
