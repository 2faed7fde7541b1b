import type { JournalEntry, JsonRecord, JsonValue, TransferJournal } from '../../client/ports.js';
import type { DigestName, Digests } from '../../digests/ports.js';
import type { PartAck, Pending, Plan, PriorTransfer, TargetIds, TargetNote } from './ports.js';

/**
 * What the engine writes into a journal, and reads of an earlier run:
 *
 *     digests   known of the content
 *     plan      a new beginning: what came before it is over, notes excepted
 *     send      a part that must not be sent twice unseen is about to go out
 *     ack       a part is there
 *     commit    the commit is about to be asked for
 *     pending   it was taken, and goes on over there
 *     note      a target's own
 *
 * The first entry (`begin`) is the caller's: which file, which target.
 */

/** The last plan of a journal and what followed. */
export interface Replay {
  readonly digests: Digests;
  readonly notes: readonly TargetNote[];
  /** Null: nothing was planned. */
  readonly prior: (PriorTransfer & { readonly sendStarted: ReadonlySet<number> }) | null;
}

export function replay(entries: readonly JournalEntry[]): Replay {
  let digests: Digests = {};
  const notes: TargetNote[] = [];
  let ids: TargetIds | null = null;
  let state: JsonRecord = {};
  let acks = new Map<number, PartAck>();
  let sendStarted = new Set<number>();
  let commitStarted = false;
  let pending: Pending | null = null;
  for (const entry of entries) {
    const { data } = entry;
    if (!isRecord(data)) continue;
    if (entry.type === 'digests') digests = { ...digests, ...(data as Digests) };
    else if (entry.type === 'note') notes.push(data as unknown as TargetNote);
    else if (entry.type === 'plan') {
      ids = data['ids'] as TargetIds;
      state = data['state'] as JsonRecord;
      acks = new Map();
      sendStarted = new Set();
      commitStarted = false;
      pending = null;
    } else if (entry.type === 'ack') acks.set(data['index'] as number, data as unknown as PartAck);
    else if (entry.type === 'send') sendStarted.add(data['index'] as number);
    else if (entry.type === 'commit') commitStarted = true;
    else if (entry.type === 'pending') pending = data as unknown as Pending;
  }
  const prior =
    ids === null
      ? null
      : { ids, state, acks: [...acks.values()], sendStarted, commitStarted, pending };
  return { digests, notes, prior };
}

/** The engine's side of a journal; without one, nothing is written. */
export interface TransferLog {
  digests(digests: Digests): Promise<void>;
  plan(plan: Plan): Promise<void>;
  send(index: number): Promise<void>;
  ack(ack: PartAck): Promise<void>;
  commit(): Promise<void>;
  pending(pending: Pending): Promise<void>;
  note(note: TargetNote): Promise<void>;
}

export function createTransferLog(journal: TransferJournal | undefined): TransferLog {
  const write = async (type: string, data: object, durable = true): Promise<void> => {
    // What a target hands over is plain by contract; undefined members vanish here.
    await journal?.append(
      { type, data: JSON.parse(JSON.stringify(data)) as JsonValue },
      { durable },
    );
  };
  return {
    digests: (digests) => write('digests', digests, false),
    plan: ({ ids, state }) => write('plan', { ids, state }),
    send: (index) => write('send', { index }),
    // Losing one costs sending a part again; the process may die, the system seldom does.
    ack: (ack) => write('ack', ack, false),
    commit: () => write('commit', {}),
    pending: (pending) => write('pending', pending),
    note: (note) => write('note', note),
  };
}

/** Which of `names` are not known. */
export function missingDigests(names: readonly DigestName[], known: Digests): DigestName[] {
  return [...new Set(names)].filter((name) => known[name] === undefined);
}

function isRecord(value: JsonValue | undefined): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
