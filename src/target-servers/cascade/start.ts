import { restoreFile, startVolume } from './chain.js';
import { checkText, GoaError } from './goa-error.js';
import type { CascadeBurn, CascadeFile, CascadeState } from './model.js';

/** Starting and restoring: the two requests that spend money. */

const TXID = { length: 64, pattern: /^[0-9a-f]+$/ };
const PASTEL_ID = { length: 86, pattern: /^[a-zA-Z0-9]+$/ };
const ADDRESS = { length: 35, pattern: /^[a-zA-Z0-9]+$/ };

/** The passphrase as the server reads it: up to the first space is a scheme. */
export function passphraseOf(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const space = authorization.indexOf(' ');
  return space < 0 ? authorization : authorization.slice(space + 1);
}

/** @throws GoaError 401 */
export function checkPassphrase(
  state: CascadeState,
  authorization: string | undefined,
  pastelId: string,
): void {
  const right = passphraseOf(authorization) === state.passphrase && pastelId === state.pastelId;
  if (right && state.faults.refuse !== true) return;
  throw new GoaError(401, 'UnAuthorized', 'user not authorized: invalid PastelID or Key');
}

/** Starts a file and resolves with the names of its tasks. @throws GoaError */
export function startFile(
  state: CascadeState,
  fileId: string,
  authorization: string | undefined,
  body: Readonly<Record<string, unknown>>,
): string[] {
  state.counts.startRequests++;
  const pastelId = checkText(body, 'app_pastelid', PASTEL_ID);
  const txids = burnTxids(body);
  if (body['spendable_address'] !== undefined) checkText(body, 'spendable_address', ADDRESS);
  checkPassphrase(state, authorization, pastelId);
  const file = state.files.get(fileId);
  if (file === undefined) {
    throw new GoaError(500, 'InternalServerError', 'please provide valid base-file-id');
  }
  file.startRequests++;
  if (file.volumes.some((volume) => volume.taskId !== '')) {
    throw new GoaError(500, 'InternalServerError', 'task registration is already in progress');
  }
  if (txids.length !== file.volumes.length) {
    throw new GoaError(400, 'BadRequest', 'provided burn txids and no of volumes are not equal');
  }
  const pairs = paired(state, file, txids);
  file.public = body['make_publicly_accessible'] === true;
  file.startCount++;
  state.counts.starts++;
  const taskIds: string[] = [];
  for (const { burn, volume } of pairs) {
    if (volume.index === state.faults.unqueuedVolume) continue;
    burn.usedBy = fileId;
    volume.burnTxid = burn.txid;
    startVolume(state, file, volume);
    taskIds.push(volume.taskId);
  }
  return taskIds;
}

function burnTxids(body: Readonly<Record<string, unknown>>): string[] {
  const { burn_txids: several } = body;
  if (several === undefined) return [checkText(body, 'burn_txid', TXID)];
  if (!Array.isArray(several)) {
    throw new GoaError(400, 'decode_payload', 'cannot decode "burn_txids" into a list');
  }
  return several.map((txid: unknown) => checkText({ burn_txids: txid }, 'burn_txids', TXID));
}

/** Both sides in descending order of their amounts. @throws GoaError 400 */
function paired(
  state: CascadeState,
  file: CascadeFile,
  txids: readonly string[],
): { burn: CascadeBurn; volume: CascadeFile['volumes'][number] }[] {
  const invalid = new GoaError(400, 'BadRequest', 'given burn txids are not valid');
  if (new Set(txids).size !== txids.length) throw invalid;
  const burns = txids.map((txid) => {
    const burn = state.burns.get(txid);
    if (burn === undefined || burn.usedBy !== null) throw invalid;
    return burn;
  });
  burns.sort((a, b) => b.amount - a.amount);
  const volumes = [...file.volumes].sort((a, b) => b.burnAmount - a.burnAmount);
  return volumes.map((volume, at) => {
    const burn = burns[at] as CascadeBurn;
    if (burn.amount < volume.burnAmount) throw invalid;
    return { burn, volume };
  });
}

/** @throws GoaError */
export function restore(
  state: CascadeState,
  fileId: string,
  authorization: string | undefined,
  body: Readonly<Record<string, unknown>>,
): object {
  state.counts.restores++;
  // A capital I, unlike start.
  const pastelId = checkText(body, 'app_pastelId', PASTEL_ID);
  if (body['spendable_address'] !== undefined) checkText(body, 'spendable_address', ADDRESS);
  checkPassphrase(state, authorization, pastelId);
  const file = state.files.get(fileId);
  if (file === undefined) {
    throw new GoaError(500, 'InternalServerError', 'please provide valid base-file-id');
  }
  const result = restoreFile(state, file);
  file.public = body['make_publicly_accessible'] === true;
  return result;
}
