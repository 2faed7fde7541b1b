import type { HttpRequest, HttpResponse } from '../../http/index.js';
import { asObject, ConnectionCut, jsonResponse, readJson } from '../messages.js';
import { serveFile, startDownload, statusOf } from './download.js';
import type { CascadeFaults } from './faults.js';
import { GoaError } from './goa-error.js';
import { type CascadeBurn, type CascadeState, goTime, volumeJson } from './model.js';
import { checkPassphrase, restore, startFile } from './start.js';
import { takeUpload, uploadJson } from './upload.js';

/** The endpoints, and two that are not Cascade's: the wallet and the hands of whoever tests. */

/** A request, and what its routes may do besides. */
export interface CascadeCall {
  readonly request: HttpRequest;
  readonly pay: (amount: number, reference: string) => CascadeBurn;
  readonly advance: (blocks: number) => void;
}

type Route = (
  state: CascadeState,
  call: CascadeCall,
  id: string,
) => HttpResponse | Promise<HttpResponse>;

const PREFIX = '/openapi/cascade';

const ROUTES: readonly (readonly [method: string, path: RegExp, route: Route])[] = [
  ['POST', /^\/openapi\/cascade\/upload$/, (state, call) => upload(state, call, 1)],
  ['POST', /^\/openapi\/cascade\/v2\/upload$/, (state, call) => upload(state, call, 2)],
  ['POST', /^\/openapi\/cascade\/start\/([^/]+)$/, start],
  ['POST', /^\/openapi\/cascade\/restore\/([^/]+)$/, restoreRoute],
  ['GET', /^\/openapi\/cascade\/registration_details\/([^/]+)$/, details],
  ['GET', /^\/openapi\/cascade\/downloads\/([^/]+)\/status$/, downloadStatus],
  ['GET', /^\/openapi\/cascade\/download$/, (state, call) => download(state, call, 1)],
  ['GET', /^\/openapi\/cascade\/v2\/download$/, (state, call) => download(state, call, 2)],
  ['GET', /^\/openapi\/cascade\/([^/]+)\/history$/, history],
  ['GET', /^\/files\/([^/]+)$/, (state, call, id) => serveFile(state, id, call.request)],
  ['POST', /^\/wallet\/burn$/, walletBurn],
  ['GET', /^\/wallet\/burns$/, walletBurns],
  ['POST', /^\/test\/advance$/, advance],
  ['POST', /^\/test\/faults$/, setFaults],
  ['GET', /^\/test\/counts$/, counts],
];

/** @throws GoaError */
export async function routeCascade(state: CascadeState, call: CascadeCall): Promise<HttpResponse> {
  const { pathname } = call.request.url;
  if (state.faults.forgetFiles === true) {
    delete state.faults.forgetFiles;
    state.files.clear();
  }
  for (const [method, path, route] of ROUTES) {
    const match = path.exec(pathname);
    if (match === null || call.request.method !== method) continue;
    return route(state, call, decodeURIComponent(match[1] ?? ''));
  }
  const shown = pathname.startsWith(PREFIX) ? pathname.slice(PREFIX.length) : pathname;
  throw new GoaError(404, 'NotFound', `no such path: ${shown}`);
}

async function upload(
  state: CascadeState,
  call: CascadeCall,
  version: 1 | 2,
): Promise<HttpResponse> {
  state.counts.uploads++;
  const file = await takeUpload(state, call.request, version);
  if (state.faults.loseUploadResponse === true) {
    delete state.faults.loseUploadResponse;
    throw new ConnectionCut();
  }
  return jsonResponse(201, uploadJson(state, file, version));
}

async function start(state: CascadeState, call: CascadeCall, id: string): Promise<HttpResponse> {
  const { request } = call;
  const { faults } = state;
  if (faults.dropStart === true) {
    delete faults.dropStart;
    state.counts.startRequests++;
    throw new ConnectionCut();
  }
  const body = asObject(await readJson(request.body));
  if (body === null) throw new GoaError(400, 'decode_payload', 'cannot decode the body');
  const taskIds = startFile(state, id, request.headers['authorization'], body);
  if (faults.loseStartResponse === true) {
    delete faults.loseStartResponse;
    throw new ConnectionCut();
  }
  return jsonResponse(201, { task_id: taskIds.join(',') });
}

async function restoreRoute(
  state: CascadeState,
  call: CascadeCall,
  id: string,
): Promise<HttpResponse> {
  const body = asObject(await readJson(call.request.body));
  if (body === null) throw new GoaError(400, 'decode_payload', 'cannot decode the body');
  return jsonResponse(201, restore(state, id, call.request.headers['authorization'], body));
}

async function details(state: CascadeState, _call: CascadeCall, id: string): Promise<HttpResponse> {
  const { faults } = state;
  if ((faults.failDetails ?? 0) > 0) {
    faults.failDetails = (faults.failDetails ?? 0) - 1;
    throw new GoaError(500, 'InternalServerError', 'unable to get file details');
  }
  const file = state.files.get(id);
  const files = file?.volumes.map((volume) => volumeJson(file, volume, faults)) ?? [];
  // A GET with 201, as the original has it.
  return jsonResponse(201, { files });
}

async function download(
  state: CascadeState,
  call: CascadeCall,
  version: 1 | 2,
): Promise<HttpResponse> {
  const { searchParams } = call.request.url;
  checkPassphrase(state, call.request.headers['authorization'], searchParams.get('pid') ?? '');
  const { id } = startDownload(state, searchParams.get('txid') ?? '', version);
  return jsonResponse(200, { file_id: id });
}

async function downloadStatus(
  state: CascadeState,
  _call: CascadeCall,
  id: string,
): Promise<HttpResponse> {
  if (id.length !== 6) {
    throw new GoaError(400, 'invalid_length', 'length of file_id must be equal to 6');
  }
  return jsonResponse(200, statusOf(state, id));
}

async function history(state: CascadeState, _call: CascadeCall, id: string): Promise<HttpResponse> {
  const task = state.tasks.get(id);
  if (task === undefined) throw new GoaError(404, 'NotFound', 'task not found');
  const lines = task.history.map((line) => ({
    timestamp: goTime(line.atMs),
    status: line.status,
    details: { message: line.message, fields: {} },
  }));
  return jsonResponse(200, lines);
}

/** POST /wallet/burn {"amount","reference"}: a wallet pays twice when it is asked twice. */
async function walletBurn(_: CascadeState, call: CascadeCall): Promise<HttpResponse> {
  const body = asObject(await readJson(call.request.body));
  const amount = Number(body?.['amount']);
  if (!(amount > 0)) throw new GoaError(400, 'BadRequest', '"amount" expected a number above 0');
  const { txid } = call.pay(amount, String(body?.['reference'] ?? ''));
  return jsonResponse(201, { txid });
}

/** GET /wallet/burns?reference=…: what was paid under that reference. */
async function walletBurns(state: CascadeState, call: CascadeCall): Promise<HttpResponse> {
  const reference = call.request.url.searchParams.get('reference');
  const burns = [...state.burns.values()].filter((burn) => burn.reference === reference);
  return jsonResponse(200, { txids: burns.map((burn) => burn.txid) });
}

async function counts(state: CascadeState): Promise<HttpResponse> {
  return jsonResponse(200, state.counts);
}

/** POST /test/advance {"blocks"} */
async function advance(_: CascadeState, call: CascadeCall): Promise<HttpResponse> {
  const body = asObject(await readJson(call.request.body));
  call.advance(Number(body?.['blocks'] ?? 1));
  return jsonResponse(200, {});
}

/** POST /test/faults: members of `CascadeFaults`; null switches one off. */
async function setFaults(state: CascadeState, call: CascadeCall): Promise<HttpResponse> {
  const body = asObject(await readJson(call.request.body)) ?? {};
  const faults = state.faults as Record<string, unknown>;
  for (const [name, value] of Object.entries(body)) {
    if (value === null) delete faults[name];
    else faults[name] = value;
  }
  return jsonResponse(200, state.faults satisfies CascadeFaults);
}
