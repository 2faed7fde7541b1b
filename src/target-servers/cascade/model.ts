import type { Clock } from '../../flow/index.js';
import type { CascadeFaults } from './faults.js';

/** What a Cascade server remembers, and the JSON it shows of it. */

export interface RegistrationAttempt {
  readonly id: number;
  readonly startedAtMs: number;
  finishedAtMs: number | null;
  successful: boolean;
  error: string;
  nodes: string;
}

export interface ActivationAttempt {
  readonly id: number;
  readonly atMs: number;
  successful: boolean;
  error: string;
}

export interface CascadeVolume {
  readonly name: string;
  /** Position in the lexicographic listing. */
  readonly index: number;
  readonly sizeBytes: number;
  readonly fee: number;
  readonly burnAmount: number;
  readonly uuid: string;
  readonly registrations: RegistrationAttempt[];
  readonly activations: ActivationAttempt[];
  taskId: string;
  burnTxid: string;
  regTxid: string;
  activationTxid: string;
  concluded: boolean;
  ticketId: string;
  startBlock: number;
  doneBlock: number;
}

export interface CascadeFile {
  readonly fileId: string;
  /** Folder of the volumes. */
  readonly folder: string;
  /** The name under which it came. */
  readonly name: string;
  /** The name that is written down: cut at the first `.7z` when there are volumes. */
  readonly recordedName: string;
  readonly sha256: string;
  readonly sha3: string;
  readonly sizeBytes: number;
  readonly uploadedAtMs: number;
  readonly volumes: CascadeVolume[];
  public: boolean;
  /** Requests to start it that reached the server, and those that did. */
  startRequests: number;
  startCount: number;
}

export interface CascadeBurn {
  readonly txid: string;
  readonly amount: number;
  readonly block: number;
  /** What the payer called it; the same one is never paid twice by the wallet's own endpoint. */
  readonly reference: string;
  usedBy: string | null;
}

/** A task: lost when the server restarts. */
export interface CascadeTask {
  readonly taskId: string;
  readonly file: CascadeFile;
  readonly volume: CascadeVolume;
  readonly history: { readonly atMs: number; readonly status: string; readonly message: string }[];
  readonly listeners: Set<(status: string, last: boolean) => void>;
  over: boolean;
}

export interface CascadeDownload {
  readonly id: string;
  readonly file: CascadeFile;
  readonly createdAtMs: number;
  /** Volumes fetched so far. */
  fetched: number;
  state: 'running' | 'ready' | 'failed' | 'gone' | 'stuck';
}

/** All of it, with what changes it from outside. */
export interface CascadeState {
  readonly clock: Clock;
  readonly faults: CascadeFaults;
  readonly passphrase: string;
  readonly pastelId: string;
  readonly volumeBytes: number;
  readonly feeUnitBytes: number;
  readonly dataDir: string;
  readonly files: Map<string, CascadeFile>;
  readonly burns: Map<string, CascadeBurn>;
  readonly tasks: Map<string, CascadeTask>;
  readonly downloads: Map<string, CascadeDownload>;
  readonly counts: CascadeCounts;
  block: number;
  attemptId: number;
}

/** What happened; the ones that must never happen twice for a file are among them. */
export interface CascadeCounts {
  uploads: number;
  /** Burn transactions that were made. */
  payments: number;
  /** Start requests that reached the server, whatever became of them. */
  startRequests: number;
  starts: number;
  restores: number;
  downloads: number;
  /** Coins that the server spent by itself, for restores. */
  ownPayments: number;
}

/** Go's default text of a time, which drops zeros at the end; null is its zero. */
export function goTime(ms: number | null): string {
  if (ms === null) return '0001-01-01 00:00:00 +0000 UTC';
  const [date, time] = new Date(ms).toISOString().slice(0, -1).split('T') as [string, string];
  return `${date} ${time.replace(/\.?0+$/, '')} +0000 UTC`;
}

/** One entry of `registration_details`. */
export function volumeJson(
  file: CascadeFile,
  volume: CascadeVolume,
  faults: CascadeFaults,
): Record<string, unknown> {
  const hash = faults.sha3Hash === true ? file.sha3 : file.sha256;
  return {
    file_id: volume.name,
    upload_timestamp: goTime(file.uploadedAtMs),
    file_index: String(volume.index),
    base_file_id: file.fileId,
    task_id: volume.taskId,
    reg_txid: volume.regTxid,
    activation_txid: volume.activationTxid,
    req_burn_txn_amount: volume.burnAmount,
    burn_txn_id: volume.burnTxid,
    req_amount: volume.fee,
    is_concluded: volume.concluded,
    cascade_metadata_ticket_id: volume.ticketId,
    uuid_key: volume.uuid,
    hash_of_original_big_file: faults.wrongHash === true ? 'f'.repeat(64) : hash,
    name_of_original_big_file_with_ext: file.recordedName,
    size_of_original_big_file: file.sizeBytes,
    start_block: volume.startBlock,
    done_block: volume.doneBlock,
    registration_attempts: volume.registrations.map((attempt) => ({
      id: attempt.id,
      file_id: volume.name,
      reg_started_at: goTime(attempt.startedAtMs),
      processor_sns: attempt.nodes,
      finished_at: goTime(attempt.finishedAtMs),
      is_successful: attempt.successful,
      error_message: attempt.error,
    })),
    activation_attempts: volume.activations.map((attempt) => ({
      id: attempt.id,
      file_id: volume.name,
      activation_attempt_at: goTime(attempt.atMs),
      is_successful: attempt.successful,
      error_message: attempt.error,
    })),
  };
}
