import { hexId, textId } from '../ids.js';
import type { CascadeFile, CascadeState, CascadeTask, CascadeVolume } from './model.js';

/**
 * What the block chain does to volumes, one block at a time. Nothing happens between blocks, so a
 * test sees every state for as long as it likes.
 *
 *     burn: 3 confirmations ─► registered ─► activated, concluded ─► (all of them) the joining ticket
 */

/** Confirmations that a burn transaction needs. */
const BURN_CONFIRMATIONS = 3;
/** A registration is refused when more than this many attempts exist, so that a fourth one runs. */
const MAX_ATTEMPTS = 3;

/** Begins the registration of a volume as a task of its own. */
export function startVolume(state: CascadeState, file: CascadeFile, volume: CascadeVolume): void {
  volume.taskId = textId(8);
  volume.startBlock = state.block;
  volume.registrations.push({
    id: ++state.attemptId,
    startedAtMs: state.clock.unixMs(),
    finishedAtMs: null,
    successful: false,
    error: '',
    nodes: '',
  });
  const task: CascadeTask = {
    taskId: volume.taskId,
    file,
    volume,
    history: [],
    listeners: new Set(),
    over: false,
  };
  state.tasks.set(task.taskId, task);
  say(state, volume, 'Task Started');
  say(state, volume, 'Validating Burn Txn');
}

/** One block more. */
export function advanceBlock(state: CascadeState): void {
  state.block++;
  for (const file of state.files.values()) {
    const finished = file.volumes.every((volume) => volume.concluded);
    for (const volume of file.volumes) advanceVolume(state, volume);
    // The joining ticket comes a block after the last volume, so that "finalizing" can be seen.
    if (finished && file.volumes.length > 1 && state.faults.stuckFinalizing !== true) {
      const ticket = file.volumes[0]?.ticketId || hexId(32);
      for (const volume of file.volumes) volume.ticketId = ticket;
    }
  }
}

function advanceVolume(state: CascadeState, volume: CascadeVolume): void {
  const attempt = volume.registrations.at(-1);
  if (attempt === undefined || volume.concluded) return;
  if (attempt.finishedAtMs === null) {
    const burn = state.burns.get(volume.burnTxid);
    if (burn === undefined || state.block - burn.block < BURN_CONFIRMATIONS) return;
    register(state, volume);
  } else if (volume.regTxid !== '' && volume.activations.length === 0) {
    activate(state, volume);
  }
}

function register(state: CascadeState, volume: CascadeVolume): void {
  const attempt = volume.registrations.at(-1);
  if (attempt === undefined) return;
  attempt.finishedAtMs = state.clock.unixMs();
  say(state, volume, 'Burn Txn Validated');
  const { failRegistration } = state.faults;
  if (failRegistration?.volume === volume.index && failRegistration.times > 0) {
    failRegistration.times--;
    fail(state, volume, (error) => {
      attempt.error = error;
    });
    return;
  }
  attempt.successful = true;
  attempt.nodes = '192.0.2.1:24444,192.0.2.2:24444,192.0.2.3:24444,';
  volume.regTxid = hexId(32);
  say(state, volume, 'Generating RaptorQ Symbols and Identifiers');
  say(state, volume, 'Request Accepted');
  say(state, volume, `Validating Cascade Reg TXID: ${volume.regTxid}`);
  say(state, volume, 'Request Registered');
}

function activate(state: CascadeState, volume: CascadeVolume): void {
  const attempt = {
    id: ++state.attemptId,
    atMs: state.clock.unixMs(),
    successful: false,
    error: '',
  };
  const { failActivation } = state.faults;
  volume.activations.push(attempt);
  if (failActivation?.volume === volume.index && failActivation.times > 0) {
    failActivation.times--;
    fail(state, volume, (error) => {
      attempt.error = error;
    });
    return;
  }
  attempt.successful = true;
  volume.activationTxid = hexId(32);
  volume.concluded = true;
  volume.doneBlock = state.block;
  say(state, volume, 'Request Activated');
  say(state, volume, 'Task Completed');
}

function fail(state: CascadeState, volume: CascadeVolume, note: (error: string) => void): void {
  const error = 'failed to get enough supernodes';
  note(error);
  say(state, volume, `Error Finding Right Supernodes: ${error}`);
  say(state, volume, 'Task Rejected');
}

/** What a restore came to, in the words of its response. */
export interface RestoreResult {
  readonly total_volumes: number;
  readonly registered_volumes: number;
  readonly volumes_with_pending_registration: number;
  readonly volumes_registration_in_progress: number;
  readonly activated_volumes: number;
  readonly volumes_activated_in_recovery_flow: number;
}

/** Tries again what failed; the server pays for a volume that has no burn of its own. */
export function restoreFile(state: CascadeState, file: CascadeFile): RestoreResult {
  let pending = 0;
  let running = 0;
  let recovered = 0;
  for (const volume of file.volumes) {
    const attempt = volume.registrations.at(-1);
    if (volume.concluded) continue;
    if (volume.regTxid !== '') {
      if (volume.activations.at(-1)?.successful !== false) continue;
      activate(state, volume);
      if (volume.activations.at(-1)?.successful === true) recovered++;
    } else if (attempt !== undefined && attempt.finishedAtMs === null) running++;
    else {
      pending++;
      if (volume.registrations.length <= MAX_ATTEMPTS) again(state, file, volume);
    }
  }
  const count = (holds: (volume: CascadeVolume) => boolean): number =>
    file.volumes.filter(holds).length;
  return {
    total_volumes: file.volumes.length,
    registered_volumes: count((volume) => volume.regTxid !== ''),
    volumes_with_pending_registration: pending,
    volumes_registration_in_progress: running,
    activated_volumes: count((volume) => volume.concluded) - recovered,
    volumes_activated_in_recovery_flow: recovered,
  };
}

function again(state: CascadeState, file: CascadeFile, volume: CascadeVolume): void {
  if (volume.burnTxid === '') {
    state.counts.ownPayments++;
    volume.burnTxid = hexId(32);
    const { block } = state;
    const { burnAmount: amount, burnTxid: txid } = volume;
    state.burns.set(txid, { txid, amount, block, reference: 'own', usedBy: file.fileId });
  }
  startVolume(state, file, volume);
}

/** The worker that runs every three minutes: it tries again, and makes public files private. */
export function runRestoreWorker(state: CascadeState): void {
  for (const file of state.files.values()) {
    if (file.startCount === 0 || file.volumes.every((volume) => volume.concluded)) continue;
    const before = file.volumes.map((volume) => volume.registrations.length);
    restoreFile(state, file);
    const tried = file.volumes.some(
      (volume, at) => volume.registrations.length > (before[at] ?? 0),
    );
    if (tried) file.public = false;
  }
}

const LAST_STATUS: ReadonlySet<string> = new Set([
  'Task Completed',
  'Task Rejected',
  'Task Failed',
]);

/** A line of the history of a volume's task, also to those who listen. */
function say(state: CascadeState, volume: CascadeVolume, status: string): void {
  const task = state.tasks.get(volume.taskId);
  if (task === undefined) return;
  const last = LAST_STATUS.has(status);
  task.history.push({ atMs: state.clock.unixMs(), status, message: '' });
  task.over = last;
  for (const listener of [...task.listeners]) listener(status, last);
}
