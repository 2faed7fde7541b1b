import { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { type Body, bytesBody, type HttpResponse } from '../http/index.js';
import { type Call, checkPrefix, hashParam } from './call.js';
import type { DedupQuestion, Loan } from './dedup-responses.js';
import { failure, rejected } from './failures.js';
import { parseId, withJsonBody } from './json-body.js';
import { MAX_QUERY_CHUNKS, MAX_QUERY_FILES } from './middleware.js';
import { emptyResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/**
 * GET /v1/chunks/{prefix}/{chunk}: the keyed shard of `dedup-build.ts`, or 404.
 *
 * POST /v1/chunks/{prefix}: the same for many chunks, and for all chunks of files, or 204; only for
 * clients that have read `x-orbweaver-dedup`, because the protocol has no such question:
 *
 *     {"chunks": ["64 digits", …], "files": ["64 digits", …]}
 */
export function chunkRoutes(services: GatewayServices): Route[] {
  async function find(call: Call, question: DedupQuestion): Promise<HttpResponse | null> {
    const scope = new Scope({ signal: call.request.signal, what: 'the request' });
    try {
      const found = await services.dedup.find(question, {
        scope,
        onFault: (error) => services.fault(call, error),
      });
      const { metrics } = services.settings;
      metrics?.dedupAsked({ chunkCount: question.chunks.length, found: found !== null });
      if (found === null) return null;
      const headers = {
        'content-type': 'application/octet-stream',
        'content-length': String(found.bytes.length),
      };
      return { status: 200, headers, body: lentBody(found) };
    } finally {
      scope.close();
    }
  }

  return [
    {
      method: 'GET',
      path: '/v1/chunks/:prefix/:chunk',
      isUnversioned: true,
      scope: 'ask',
      handle: async (call: Call): Promise<HttpResponse> => {
        checkPrefix(call);
        const chunk = hashParam(call, 'chunk');
        const found = await find(call, { chunks: [chunk] });
        if (found === null) throw failure(404, 'NOT_FOUND', `chunk ${chunk} is not indexed`);
        return found;
      },
    },
    {
      method: 'POST',
      path: '/v1/chunks/:prefix',
      scope: 'ask',
      body: 'small',
      handle: async (call: Call): Promise<HttpResponse> => {
        checkPrefix(call);
        const { chunks, files } = await withJsonBody(services, call, (json) => ({
          chunks: idsIn(json, 'chunks', MAX_QUERY_CHUNKS),
          files: idsIn(json, 'files', MAX_QUERY_FILES),
        }));
        const xorbs = new Map<string, MerkleHash>();
        for (const file of files) {
          const known = await services.files.get(file);
          for (const xorb of known?.xorbs ?? []) xorbs.set(xorb.toString(), xorb);
        }
        const found = await find(call, { chunks, xorbs: [...xorbs.values()] });
        return found ?? emptyResponse(204);
      },
    },
  ];
}

/** The hashes in a list of the question; none where there is no list. */
function idsIn(json: unknown, name: 'chunks' | 'files', most: number): MerkleHash[] {
  const list = (json as Partial<Record<typeof name, unknown>> | null)?.[name] ?? [];
  if (!Array.isArray(list) || list.length > most) {
    throw rejected(`"${name}" expected a list of at most ${most} hashes`);
  }
  return list.map((text) => parseId(String(text)));
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
