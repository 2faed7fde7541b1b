import { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { HttpResponse } from '../http/index.js';
import {
  encodeReconstructionV1,
  encodeReconstructionV2,
  type Term,
  type XorbFetch,
} from '../plan/index.js';
import { type Call, hashParam } from './call.js';
import { failure, rejected } from './failures.js';
import { fetchUrls } from './fetch-urls.js';
import type { CatalogFile } from './file-catalog.js';
import { parseId, withJsonBody } from './json-body.js';
import { parseRange } from './ranges.js';
import {
  type PlannedFile,
  planReconstruction,
  type ReconstructionPlan,
  storedXorbs,
} from './reconstruct.js';
import { emptyResponse, jsonTextsResponse, MANY_ENTRIES } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { createYielder, mapLimited } from './turns.js';
import { type CatalogXorb, rawBytesOf } from './xorb-catalog.js';

/**
 * Reconstructions: version 2 and 1 of one file, with an optional byte range, and the batch forms
 * (POST with a JSON list, GET with repeated `file_id`), which respond in the shapes of version 1.
 */
export function reconstructionRoutes(services: GatewayServices): Route[] {
  const one = (version: 1 | 2): Route => ({
    method: 'GET',
    path: `/v${version}/reconstructions/:file`,
    isUnversioned: version === 1,
    scope: 'read',
    compress: true,
    handle: (call) => getOne(services, call, version),
  });
  const path = '/v1/reconstructions';
  return [
    one(1),
    one(2),
    {
      method: 'POST',
      path,
      scope: 'read',
      compress: true,
      body: 'small',
      handle: async (call) => getBatch(services, call, await idsInBody(services, call)),
    },
    {
      method: 'GET',
      path,
      scope: 'read',
      compress: true,
      handle: (call) => getBatch(services, call, idsInQuery(call)),
    },
  ];
}

/**
 * One file. The status is 200 with a range as well, and the response is shorter than asked when the
 * range passes the end. 416 for a start at or past the end (readers take it as the end of the file)
 * and for what is no single range.
 */
async function getOne(
  services: GatewayServices,
  call: Call,
  version: 1 | 2,
): Promise<HttpResponse> {
  const file = await registeredFile(services, hashParam(call, 'file'));
  const { sizeBytes } = file;
  const asked = parseRange(call.request.headers['range'], sizeBytes);
  let range = { start: 0, end: sizeBytes };
  if (asked.kind !== 'none') {
    const single = asked.kind === 'ranges' && asked.ranges.length === 1 ? asked.ranges[0] : null;
    if (single === null || single === undefined) {
      return emptyResponse(416, { 'content-range': `bytes */${sizeBytes}` });
    }
    range = single;
  }
  const plan = await planInTurn(services, call, [{ file, ...range }]);
  const [found] = plan.files as [PlannedFile];
  const planned = wantsChunkSizes(call, range) ? await withChunkSizes(services, found) : found;
  const fetches = fetchesJson(await fetchUrls(services, call, { plan, version }), version);
  return jsonTextsResponse(entryCount(plan) + (planned === found ? 0 : MANY_ENTRIES), function* () {
    yield `{"offset_into_first_range":${planned.offsetIntoFirstTerm},"terms":`;
    yield* termsJson(planned);
    yield `,"${version === 1 ? 'fetch_info' : 'xorbs'}":`;
    yield* fetches;
    yield '}';
  });
}

/** Larger ranges are not given the sizes of their chunks: what the protocol says. */
const MAX_SIZED_RANGE_BYTES = 1024 ** 3;

function wantsChunkSizes({ request }: Call, range: { start: number; end: number }): boolean {
  const asked = request.url.searchParams.get('chunk_byte_sizes') === 'true';
  return asked && range.end - range.start <= MAX_SIZED_RANGE_BYTES;
}

/** The same terms with the sizes of their chunks, which are found out when a term is written. */
async function withChunkSizes(
  { xorbs }: GatewayServices,
  planned: PlannedFile,
): Promise<PlannedFile> {
  const yieldAfter = createYielder();
  const asked = new Set<MerkleHash>();
  for (let index = 0; index < planned.termCount; index++) {
    asked.add(planned.term(index).xorb);
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  const used = await storedXorbs(xorbs, asked);
  return {
    ...planned,
    term(index) {
      const term = planned.term(index);
      const { rawEnds } = used.get(term.xorb.toString()) as CatalogXorb;
      const chunkBytes = new Uint32Array(term.chunkEnd - term.chunkStart);
      for (let at = 0; at < chunkBytes.length; at++) {
        const chunk = term.chunkStart + at;
        chunkBytes[at] = rawBytesOf(rawEnds, chunk, chunk + 1);
      }
      return { ...term, chunkBytes };
    },
  };
}

/** Files of a batch that are looked up side by side. */
const CONCURRENT_LOOKUPS = 16;

/** Files in one batch; a list of more is cut by nobody we know. */
const MAX_BATCH_FILES = 1000;

/** All files at once: terms by file, and one set of fetch ranges that serves them all. */
async function getBatch(
  services: GatewayServices,
  call: Call,
  ids: readonly MerkleHash[],
): Promise<HttpResponse> {
  const unique = new Map(ids.map((id) => [id.toString(), id]));
  const files = await mapLimited([...unique.values()], CONCURRENT_LOOKUPS, (id) =>
    registeredFile(services, id),
  );
  const parts = files.map((file) => ({ file, start: 0, end: file.sizeBytes }));
  const plan = await planInTurn(services, call, parts);
  const fetches = fetchesJson(await fetchUrls(services, call, { plan, version: 1 }), 1);
  return jsonTextsResponse(entryCount(plan), function* () {
    yield '{"files":{';
    for (const [index, planned] of plan.files.entries()) {
      yield `${index === 0 ? '' : ','}"${planned.file.hash}":`;
      yield* termsJson(planned);
    }
    yield '},"fetch_info":';
    yield* fetches;
    yield '}';
  });
}

/** Terms and ranges that a response has. */
function entryCount({ files, fetches }: ReconstructionPlan): number {
  const terms = files.reduce((sum, { termCount }) => sum + termCount, 0);
  return fetches.reduce((sum, { ranges }) => sum + ranges.length, terms);
}

/** Terms, or sizes of chunks, that are written at once. */
const ENTRIES_PER_TEXT = 512;

function* termsJson({ termCount, term }: PlannedFile): Generator<string> {
  yield '[';
  for (let at = 0; at < termCount; ) {
    const terms: Term[] = [];
    const separator = at === 0 ? '' : ',';
    for (let entries = 0; at < termCount && entries < ENTRIES_PER_TEXT; at++) {
      const next = term(at);
      terms.push(next);
      entries += 1 + (next.chunkBytes?.length ?? 0);
    }
    const empty = { offsetIntoFirstTerm: 0, terms, fetches: [] };
    yield separator + JSON.stringify(encodeReconstructionV1(empty).terms).slice(1, -1);
  }
  yield ']';
}

async function planInTurn(
  services: GatewayServices,
  call: Call,
  parts: Parameters<typeof planReconstruction>[1],
): Promise<ReconstructionPlan> {
  const scope = new Scope({ signal: call.request.signal, what: 'the request' });
  try {
    return await services.planTurns.take(scope, () => planReconstruction(services.xorbs, parts));
  } finally {
    scope.close();
  }
}

/** `[{"prefix": …, "hash": …}]` */
function idsInBody(services: GatewayServices, call: Call): Promise<MerkleHash[]> {
  return withJsonBody(services, call, (list) => {
    if (!Array.isArray(list)) throw rejected('the body expected a JSON list of {"hash": …}');
    checkBatchLength(list.length);
    return list.map((item: unknown) => {
      const hash = typeof item === 'object' && item !== null && 'hash' in item ? item.hash : null;
      if (typeof hash !== 'string') throw rejected('the body expected a "hash" in each element');
      return parseId(hash);
    });
  });
}

/** Ids that cannot be read are passed over as long as one can: what the reference server does. */
function idsInQuery(call: Call): MerkleHash[] {
  const texts = call.request.url.searchParams.getAll('file_id');
  checkBatchLength(texts.length);
  const readable = texts.filter((text) => /^[0-9a-fA-F]{64}$/.test(text));
  if (readable.length === 0) throw rejected('"file_id" expected at least one file hash');
  return readable.map(parseId);
}

function checkBatchLength(count: number): void {
  if (count > MAX_BATCH_FILES) {
    throw rejected(`a batch expected at most ${MAX_BATCH_FILES} files, got ${count}`);
  }
}

/** The file, brought from elsewhere first where that is set up. @throws OrbweaverError 404, 502, 503 */
export async function registeredFile(
  { files, upstream }: Pick<GatewayServices, 'files' | 'upstream'>,
  hash: MerkleHash,
): Promise<CatalogFile> {
  let known = await files.get(hash);
  if (known === null && (await upstream?.bring(hash)) === true) known = await files.get(hash);
  if (known === null) throw failure(404, 'NOT_FOUND', `file ${hash} is not registered`);
  return known;
}

/** The ranges to fetch, one xorb after another while they are written. */
function* fetchesJson(fetches: Iterable<XorbFetch>, version: 1 | 2): Generator<string> {
  let separator = '';
  yield '{';
  for (const fetch of fetches) {
    const one = { offsetIntoFirstTerm: 0, terms: [], fetches: [fetch] };
    const json =
      version === 1 ? encodeReconstructionV1(one).fetch_info : encodeReconstructionV2(one).xorbs;
    yield separator + JSON.stringify(json).slice(1, -1);
    separator = ',';
  }
  yield '}';
}
