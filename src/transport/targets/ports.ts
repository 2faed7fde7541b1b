import type { JsonRecord, TransferJournal } from '../../client/ports.js';
import type { DigestMaker, DigestName, Digests } from '../../digests/ports.js';
import type { Budget, Clock } from '../../flow/index.js';
import type { Body } from '../../http/index.js';
import type { RandomSource } from '../../platform/index.js';

export type { DigestName, Digests } from '../../digests/ports.js';

/**
 * One interface for every system that files are uploaded to. The engine (`run-target.ts`) reads the
 * source once, feeds the digests that a target asks for, cuts what the target calls parts, and drives
 *
 *     plan ─► send (each part, some at a time) ─► commit ─► status … ─► done
 *
 * writing the journal before every step that cannot be repeated or that spends money. Types only.
 */

/** The upload systems, as `--to KIND:URL` names them. */
export type TargetKind = 'xet' | 'multipart' | 'cascade' | 'startrail' | 'hub';

/**
 * What the engine does when nobody knows how a step went (no response, or the process died):
 *
 * - `yes`: makes it again;
 * - `after-check`: asks {@link UploadTarget.check}, and makes it again when that says `no`;
 * - `never`: asks `check`, and never makes it again in the same run, whatever that says. A later run
 *   makes it only when `check` says `no`. Otherwise the failure is `unknown-outcome`.
 */
export type Repeatable = 'yes' | 'after-check' | 'never';

/** What a failure of a target means, whatever its own words are. */
export type TargetErrorClass =
  | 'auth'
  | 'quota'
  | 'conflict'
  | 'integrity'
  | 'permanent'
  | 'transient'
  | 'unknown-outcome'
  | 'payment-required';

/** What a target can do. */
export interface TargetAbilities {
  readonly unit: 'content-chunks' | 'fixed-parts' | 'whole';
  /** Parts under way at once, at most. */
  readonly parallelParts: number;
  readonly resume: 'parts' | 'state-only' | 'none';
  readonly dedup: 'chunk' | 'file' | 'none';
  /** The commit goes on after `commit` has returned; `status` says how far it is. */
  readonly asyncCommit: boolean;
  readonly costsMoney: boolean;
  readonly cancel: 'server' | 'client-only';
  /** Largest file, bytes. */
  readonly maxBytes?: number | undefined;
}

/** Digests that a target wants of every file. */
export interface WantedDigests {
  /** Needed by `plan`: costs a pass over the source before anything is sent. */
  readonly beforePlan: readonly DigestName[];
  /** Needed by `commit`, `status` and the final check; computed while the bytes are sent. */
  readonly beforeCommit: readonly DigestName[];
}

/** Names of things at the target (task, file, transaction…), to look again. Never secrets. */
export type TargetIds = Readonly<Record<string, string>>;

/** The file that is uploaded. */
export interface SourceInfo {
  /** Last part of the path or label: what the target may call it. */
  readonly name: string;
  readonly sizeBytes: number;
  /** It can be read again from its first byte. */
  readonly reopenable: boolean;
  /** Milliseconds since the Unix epoch of its last change; null: unknown. */
  readonly modifiedMs: number | null;
  /** Those of `beforePlan` and, on resuming, those that an earlier run knew. */
  readonly digests: Digests;
}

/** A stretch of the source that is sent by one call of `send`: bytes `[start, end)`. */
export interface Part {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/** The bytes of a part. */
export interface PartBody {
  readonly sizeBytes: number;
  /** The source and the part lie in memory or can be read again: `open` may be called again. */
  readonly reopenable: boolean;
  /**
   * A body of exactly `sizeBytes`, from the first byte on. One at a time: the one before must have been
   * read to its end or cancelled.
   * @throws OrbweaverError `INPUT_CHANGED`, `INPUT_UNREADABLE`; `UNSUPPORTED` when it cannot be read
   * again
   */
  open(): Promise<Body>;
}

/** What is to be done, or that nothing is. Goes to the journal as it is: plain values, no secrets. */
export interface Plan {
  readonly ids: TargetIds;
  /** What the target wants to find again in {@link PriorTransfer}. */
  readonly state: JsonRecord;
  /** The parts that have to be sent now: on resuming those that are not there yet. Ascending. */
  readonly parts: readonly Part[];
  /** Bytes that are at the target already (resumed parts). @default 0 */
  readonly presentBytes?: number | undefined;
  /** It is there already: nothing is sent, nothing is committed. */
  readonly done?: Done | undefined;
  /** It was committed by an earlier run: go on with `status`. */
  readonly pending?: Pending | undefined;
}

/** A part is at the target. Goes to the journal. */
export interface PartAck {
  readonly index: number;
  /** What `commit` needs of it. @default none */
  readonly ids?: TargetIds | undefined;
}

/** Where the target stands with something slow. */
export interface TargetProgress {
  /** One or two words: `merging`, `registering`, `hashing`. */
  readonly stage: string;
  /** 0 to 1; null: unknown. */
  readonly fraction: number | null;
  /** More for those who want it (volumes, attempts). @default none */
  readonly details?: JsonRecord | undefined;
}

/** Committed, and not done yet. Goes to the journal. */
export interface Pending {
  readonly state: 'pending';
  readonly ids: TargetIds;
  readonly progress: TargetProgress;
  /** What the target wants to find again. @default none */
  readonly data?: JsonRecord | undefined;
  /** Times between two looks: the first, growing to the last, ms. @default 1000 to 60000 */
  readonly pollMs?: { readonly first: number; readonly most: number } | undefined;
  /** Nothing changed for so long: given up as `unknown-outcome`, ms. @default never */
  readonly patienceMs?: number | undefined;
}

/** It is there. */
export interface Done {
  readonly state: 'done';
  readonly ids: TargetIds;
  /** The target had it before. */
  readonly deduplicated: boolean;
  /**
   * What the target says of the content that it has, for the engine to compare with what was read: a
   * difference is `integrity`. Neither size nor digest: `verified` becomes false.
   */
  readonly evidence: { readonly sizeBytes?: number | undefined; readonly digests?: Digests };
  /** More for those who want it. @default none */
  readonly details?: JsonRecord | undefined;
}

/** It will never be there. */
export interface Failed {
  readonly state: 'failed';
  readonly ids: TargetIds;
  /** Made by `targetError`, so that it has a class. */
  readonly error: Error;
}

/** A step whose outcome is asked for. */
export type StepRef =
  | { readonly step: 'send'; readonly part: Part }
  | { readonly step: 'commit'; readonly acks: readonly PartAck[] };

/** What a look at the target says about a step. */
export type Checked =
  | { readonly made: 'no' }
  | { readonly made: 'unknown' }
  | { readonly made: 'yes'; readonly result: PartAck | Pending | Done }
  /** What was planned is gone at the target: plan again, from the beginning. */
  | { readonly made: 'gone' };

/** An entry that a target wrote into the journal by {@link StepContext.note}. */
export interface TargetNote {
  readonly kind: string;
  readonly data: JsonRecord;
}

/** What every call of a target gets. */
export interface StepContext {
  readonly source: SourceInfo;
  /** Fires when the transfer is cancelled. */
  readonly signal: AbortSignal;
  /** All that are known now; complete from `commit` on. */
  readonly digests: Digests;
  /** What was noted in this transfer, earlier runs included, oldest first. */
  readonly notes: readonly TargetNote[];
  /** Writes to the journal and resolves when the disk has it: before money is spent, for instance. */
  note(kind: string, data: JsonRecord): Promise<void>;
  /** Tells the caller where a long step stands. */
  progress(progress: TargetProgress): void;
  /** Bytes of the part under way that have gone out; for `send` only. */
  sent(bytes: number): void;
}

/** What the journal of an earlier run says about this file. */
export interface PriorTransfer {
  readonly ids: TargetIds;
  readonly state: JsonRecord;
  readonly acks: readonly PartAck[];
  /** `commit` may have been called. */
  readonly commitStarted: boolean;
  readonly pending: Pending | null;
}

/** An upload system. Made by a function; remembers nothing of a transfer that the journal lacks. */
export interface UploadTarget {
  readonly kind: TargetKind;
  readonly abilities: TargetAbilities;
  readonly digests: WantedDigests;
  readonly repeatable: { readonly send: Repeatable; readonly commit: Repeatable };
  /**
   * Says what has to be sent. With `prior`, what is still missing.
   * @throws Error of a class (`errors.ts`): a name, size or option that this target cannot take, …
   */
  plan(context: StepContext, prior?: PriorTransfer): Promise<Plan>;
  /** Sends a part. Repeats requests by itself where that is harmless. */
  send(plan: Plan, part: Part, body: PartBody, context: StepContext): Promise<PartAck>;
  commit(plan: Plan, acks: readonly PartAck[], context: StepContext): Promise<Pending | Done>;
  /** Only called when `commit`, `plan` or `check` said pending. */
  status(plan: Plan, pending: Pending, context: StepContext): Promise<Pending | Done | Failed>;
  /**
   * The same for many at once, where one request asks for all; in their order.
   * @default `status` for each
   */
  statusAll?(
    transfers: readonly { plan: Plan; pending: Pending; context: StepContext }[],
  ): Promise<readonly (Pending | Done | Failed)[]>;
  /**
   * Looks whether a step was made, without making it. Needed unless both steps are repeatable: `yes`.
   */
  check?(plan: Plan, step: StepRef, context: StepContext): Promise<Checked>;
  /** Gives up what was planned. Called once, after every other call of the transfer has settled. */
  cancel?(plan: Plan, context: StepContext): Promise<'cancelled' | 'too-late' | 'unsupported'>;
  /** Ends what it holds (sessions, connections). @default nothing to end */
  close?(): Promise<void>;
}

/** Where a transfer stands. */
export interface TransferProgress {
  readonly phase: 'digest' | 'plan' | 'send' | 'commit' | 'status' | 'done';
  readonly name: string;
  readonly totalBytes: number;
  /** Read for digests in a pass of their own. */
  readonly digestedBytes: number;
  /** At the target already, and acknowledged now. */
  readonly acknowledgedBytes: number;
  /** Gone out, and not acknowledged yet. */
  readonly inFlightBytes: number;
  readonly target: TargetProgress | null;
}

/** What the engine works with besides source and target. */
export interface RunTargetOptions {
  readonly clock: Clock;
  /** For the jitter of pauses. */
  readonly random: RandomSource;
  readonly digests: DigestMaker;
  /** Bytes of parts in memory. @default 64 MiB */
  readonly budget?: Budget | undefined;
  /** Digests the caller wants besides those of the target. @default none */
  readonly alsoDigests?: readonly DigestName[] | undefined;
  /**
   * Remembers the transfer; what an earlier run wrote there is resumed. It is dropped when the
   * transfer is done or can never be. @default nothing is remembered
   */
  readonly journal?: TransferJournal | undefined;
  readonly modifiedMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
}

/** A transfer that is done. */
export interface TargetResult {
  readonly kind: TargetKind;
  readonly state: 'done';
  readonly name: string;
  readonly sizeBytes: number;
  readonly ids: TargetIds;
  /** Size and a hash of the whole content were compared with what was read, and were right. */
  readonly verified: boolean;
  readonly deduplicated: boolean;
  readonly digests: Digests;
  readonly details: JsonRecord;
}
