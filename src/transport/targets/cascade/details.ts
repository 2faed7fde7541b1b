import type { JsonRecord } from '../../../client/ports.js';
import { numberOf, objectOf, objectsOf, textOf } from '../json-fields.js';

/**
 * `registration_details`: the only durable view of an upload. Tasks and WebSockets vanish when the
 * server restarts; this does not.
 *
 *     uploaded ─► registering ─► registered ─► concluded ─► (several volumes) finalizing ─► done
 */

/** Where a volume stands. */
export type VolumeStage = 'uploaded' | 'registering' | 'registered' | 'concluded' | 'failing';

/** One volume, read leniently. */
export interface VolumeState {
  readonly name: string;
  /** Position in a lexicographic listing: no volume number above 999. */
  readonly index: string;
  readonly taskId: string;
  readonly stage: VolumeStage;
  readonly registrationCount: number;
  readonly activationCount: number;
  /** Of the last attempt; empty when it did not fail. */
  readonly error: string;
  /** Another attempt will not come by itself. */
  readonly exhausted: boolean;
  readonly regTxid: string;
  readonly activationTxid: string;
  readonly burnTxid: string;
  readonly ticketId: string;
  readonly concluded: boolean;
  /** What its task said last; empty when nobody listens. */
  readonly says: string;
}

/** Where the whole upload stands. */
export type CascadeStage = 'unknown' | 'uploaded' | 'registering' | 'finalizing' | 'done';

export interface CascadeDetails {
  readonly stage: CascadeStage;
  readonly volumes: readonly VolumeState[];
  /** For reading later; empty until `done`. */
  readonly txid: string;
  /** SHA-256 of the whole file in hex, lower case; empty when the server does not say. */
  readonly hash: string;
  readonly sizeBytes: number | null;
}

/** Attempts after which the server tries no more: it refuses when more than three exist. */
const LAST_ATTEMPT = 4;

/** @param json the body of a 200 or 201; null files are none */
export function readDetails(json: unknown): CascadeDetails {
  const files = objectsOf(objectOf(json)?.['files']);
  const volumes = files.map(volumeOf);
  const stage = stageOf(volumes);
  const [first] = volumes;
  const [firstFile] = files;
  return {
    stage,
    volumes,
    txid: stage !== 'done' || first === undefined ? '' : txidOf(volumes, first),
    hash: textOf(firstFile?.['hash_of_original_big_file']).toLowerCase(),
    sizeBytes: numberOf(firstFile?.['size_of_original_big_file']),
  };
}

/** A single volume is read by its own ticket, several by the one that joins them. */
function txidOf(volumes: readonly VolumeState[], first: VolumeState): string {
  return volumes.length === 1 ? first.regTxid : first.ticketId;
}

function stageOf(volumes: readonly VolumeState[]): CascadeStage {
  const [first] = volumes;
  if (first === undefined) return 'unknown';
  if (volumes.every((volume) => volume.taskId === '')) return 'uploaded';
  if (!volumes.every((volume) => volume.concluded)) return 'registering';
  return txidOf(volumes, first) === '' ? 'finalizing' : 'done';
}

function volumeOf(file: Readonly<Record<string, unknown>>): VolumeState {
  const registrations = objectsOf(file['registration_attempts']);
  const activations = objectsOf(file['activation_attempts']);
  const regTxid = textOf(file['reg_txid']);
  const taskId = textOf(file['task_id']);
  const concluded = file['is_concluded'] === true;
  const last = (regTxid === '' ? registrations : activations).at(-1);
  const error =
    last?.['is_successful'] === true || concluded ? '' : textOf(last?.['error_message']);
  return {
    name: textOf(file['file_id']),
    index: textOf(file['file_index']),
    taskId,
    stage: volumeStage({ concluded, error, taskId, regTxid }),
    registrationCount: registrations.length,
    activationCount: activations.length,
    error,
    exhausted: error !== '' && regTxid === '' && registrations.length >= LAST_ATTEMPT,
    regTxid,
    activationTxid: textOf(file['activation_txid']),
    burnTxid: textOf(file['burn_txn_id']),
    ticketId: textOf(file['cascade_metadata_ticket_id']),
    concluded,
    says: '',
  };
}

function volumeStage(
  volume: Pick<VolumeState, 'concluded' | 'error' | 'taskId' | 'regTxid'>,
): VolumeStage {
  if (volume.concluded) return 'concluded';
  if (volume.error !== '') return 'failing';
  if (volume.regTxid !== '') return 'registered';
  return volume.taskId === '' ? 'uploaded' : 'registering';
}

/** Stage, attempts and error of each volume, as plain values. */
export function volumesJson({ volumes }: CascadeDetails): JsonRecord {
  return {
    volumes: volumes.map((volume) => ({
      name: volume.name,
      stage: volume.stage,
      attempts: volume.registrationCount + volume.activationCount,
      taskId: volume.taskId,
      regTxid: volume.regTxid,
      activationTxid: volume.activationTxid,
      ...(volume.error === '' ? {} : { error: volume.error }),
      ...(volume.says === '' ? {} : { says: volume.says }),
    })),
  };
}

/** Changes whenever anything about the volumes does. */
export function signatureOf({ stage, volumes }: CascadeDetails): string {
  return [
    stage,
    ...volumes.map((volume) =>
      [volume.stage, volume.registrationCount, volume.activationCount, volume.taskId].join('.'),
    ),
  ].join(' ');
}

/** Last words of a task; the texts in between may carry ids, so nothing else is matched whole. */
const FINAL_STATUS: Readonly<Record<string, 'ok' | 'failed'>> = {
  'Task Completed': 'ok',
  'Task Rejected': 'failed',
  'Task Failed': 'failed',
};

/** Whether a status text of a task is its last one. `Error …` is not: `Task Rejected` follows. */
export function finalStatus(text: string): 'ok' | 'failed' | null {
  return FINAL_STATUS[text.trim()] ?? null;
}
