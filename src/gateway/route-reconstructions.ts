import { MerkleHash } from '../hash/index.js';
import {
  encodeReconstructionV1,
  encodeReconstructionV2,
  type FetchEntry,
  type FetchRange,
  type Reconstruction,
} from '../plan/index.js';
import { readBody } from './body.js';
import { type Call, hashParam } from './call.js';
import { failure, rejected } from './failures.js';
import type { CatalogFile } from './file-catalog.js';
import type { GatewayAnswer } from './ports.js';
import { parseRange } from './ranges.js';
import { planReconstruction, type ReconstructionPlan } from './reconstruct.js';
import { emptyAnswer, jsonAnswer } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';
import { signUrl, splitForUrls } from './signed-url.js';

/**
 * Reconstructions: version 2 and 1 of one file, with an optional byte range, and the batch forms
 * (POST with a JSON list, GET with repeated `file_id`), which answer in the shapes of version 1.
 */
export function reconstructionRoutes(services: GatewayServices): Route[] {
  const one = (version: 1 | 2): Route => ({
    method: 'GET',
    path: `/v${version}/reconstructions/:file`,
    scope: 'read',
    handle: (call) => getOne(services, call, version),
  });
  return [
    one(1),
    one(2),
    {
      method: 'POST',
      path: '/v1/reconstructions',
      scope: 'read',
      handle: async (call) => answerBatch(services, call, await idsInBody(services, call)),
    },
    {
      method: 'GET',
      path: '/v1/reconstructions',
      scope: 'read',
      handle: (call) => answerBatch(services, call, idsInQuery(call)),
    },
  ];
}

/**
 * One file. The status is 200 with a range as well, and the answer is shorter than asked when the
 * range passes the end. 416 for a start at or past the end (readers take it as the end of the file)
 * and for what is no single range.
 */
async function getOne(
  services: GatewayServices,
  call: Call,
  version: 1 | 2,
): Promise<GatewayAnswer> {
  const { file, sizeBytes } = await registeredFile(services, hashParam(call, 'file'));
  const asked = parseRange(call.request.header('range'), sizeBytes);
  let range = { start: 0, end: sizeBytes };
  if (asked.kind !== 'none') {
    const single = asked.kind === 'ranges' && asked.ranges.length === 1 ? asked.ranges[0] : null;
    if (single === null || single === undefined) {
      return emptyAnswer(416, { 'content-range': `bytes */${sizeBytes}` });
    }
    range = single;
  }
  const plan = await planReconstruction(services.xorbs, file, range);
  const expiresSeconds = expiry(services);
  if (version === 1) {
    return jsonAnswer(encodeReconstructionV1(withUrls(services, call, plan, 1, expiresSeconds)));
  }
  return jsonAnswer(encodeReconstructionV2(withUrls(services, call, plan, 2, expiresSeconds)));
}

/** Files in one batch; a list of more is cut by nobody we know. */
const MAX_BATCH_FILES = 1000;
const BATCH_BODY_MAX_BYTES = 1024 * 1024;

/** All files at once: terms by file, and one set of fetch ranges that serves them all. */
async function answerBatch(
  services: GatewayServices,
  call: Call,
  ids: readonly MerkleHash[],
): Promise<GatewayAnswer> {
  const files = new Map<string, CatalogFile>();
  for (const id of ids) files.set(id.toString(), await registeredFile(services, id));
  const terms = [...files.values()].flatMap(({ file }) => file.terms);
  const plan = await planReconstruction(services.xorbs, { terms }, { start: 0, end: Infinity });
  const all = encodeReconstructionV1(withUrls(services, call, plan, 1, expiry(services)));
  const termsOf = ({ file }: CatalogFile): unknown =>
    encodeReconstructionV1({ offsetIntoFirstTerm: 0, terms: file.terms, fetches: [] }).terms;
  return jsonAnswer({
    files: Object.fromEntries([...files].map(([id, known]) => [id, termsOf(known)])),
    fetch_info: all.fetch_info,
  });
}

/** `[{"prefix": …, "hash": …}]` */
async function idsInBody(services: GatewayServices, call: Call): Promise<MerkleHash[]> {
  const { budget } = services;
  const body = await readBody(call.request, { limitBytes: BATCH_BODY_MAX_BYTES, budget });
  try {
    const list = parseJson(body.bytes);
    if (!Array.isArray(list)) throw rejected('the body expected a JSON list of {"hash": …}');
    checkBatchLength(list.length);
    return list.map((item: unknown) => {
      const hash = typeof item === 'object' && item !== null && 'hash' in item ? item.hash : null;
      if (typeof hash !== 'string') throw rejected('the body expected a "hash" in each element');
      return parseId(hash);
    });
  } finally {
    body.release();
  }
}

/** Ids that cannot be read are passed over as long as one can: what the reference server does. */
function idsInQuery(call: Call): MerkleHash[] {
  const texts = new URLSearchParams(call.request.query).getAll('file_id');
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

function parseId(text: string): MerkleHash {
  try {
    return MerkleHash.parse(text);
  } catch (cause) {
    throw failure(400, 'HASH_INVALID', '"hash" expected 64 hexadecimal digits', cause);
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw rejected('the body expected JSON', cause);
  }
}

async function registeredFile(services: GatewayServices, hash: MerkleHash): Promise<CatalogFile> {
  const known = await services.files.get(hash);
  if (known === null) throw failure(404, 'NOT_FOUND', `file ${hash} is not registered`);
  return known;
}

function expiry({ clock, settings }: GatewayServices): number {
  return Math.ceil((clock.nowMs() + settings.urlLifetimeMs) / 1000);
}

/** Version 1 has one URL per range; version 2 one for all of a xorb, or several when it grows long. */
function withUrls(
  services: GatewayServices,
  call: Call,
  plan: ReconstructionPlan,
  version: 1 | 2,
  expiresSeconds: number,
): Reconstruction {
  const fetches = plan.fetches.map(({ xorb, ranges }) => {
    const spans = ranges.map((range) => ({ start: range.byteStart, end: range.byteEnd, range }));
    const groups = version === 1 ? spans.map((span) => [span]) : splitForUrls(call.baseUrl, spans);
    const entries = groups.map((group): FetchEntry => {
      const url = signUrl(services.secrets, call.baseUrl, xorb, { ranges: group, expiresSeconds });
      return { url, ranges: group.map(({ range }): FetchRange => range) };
    });
    return { xorb, entries };
  });
  return { offsetIntoFirstTerm: plan.offsetIntoFirstTerm, terms: plan.terms, fetches };
}
