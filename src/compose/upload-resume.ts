import type {
  JournalSummary,
  Journals,
  TransferJournal,
  UploadJournal,
  XorbChunks,
} from '../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { encodeShard } from '../shard/index.js';
import type { ResumeFacts } from './resume-facts.js';

/**
 * Going on with an upload that was interrupted. Each xorb that the store has acknowledged is written
 * down at once, with its chunks, in a journal of the state folder; the next upload of the same inputs
 * to the same endpoint takes the journal over, and sends nothing that is in it. It is gone when the
 * upload has ended well.
 *
 * The journal is made with the first acknowledgement, so that an upload of one small xorb makes none
 * before there is something to remember. A folder that cannot be written is told once, and the upload
 * goes on without.
 */

/** Unfinished uploads that nobody has gone on with for so long are forgotten. */
const MAX_AGE_MS: number = 7 * 24 * 60 * 60 * 1000;
/** Bytes of all unfinished uploads together; the oldest go first. About 1.4 TB of xorbs. */
const MAX_DISK_BYTES: number = 1024 * 1024 * 1024;

export interface UploadResumeOptions {
  readonly journals: Journals;
  /** Where they are, for messages: a folder, a database. */
  readonly place: string;
  readonly facts: ResumeFacts;
  /** Told once, when the folder turns out not to be of use. */
  readonly onProblem: (error: OrbweaverError) => void;
}

/** An upload that is remembered. Nothing of it rejects. */
export interface UploadResume {
  /** Of earlier runs: a plain shard for each xorb. */
  acknowledged(): AsyncIterable<Uint8Array>;
  readonly journal: UploadJournal;
  /** It is over: nothing stays. */
  done(): Promise<void>;
  /** It is not: what was written stays. The id of the transfer; null: there is nothing to go on with. */
  interrupted(): Promise<string | null>;
}

/** Looks for an earlier run, and takes it over. Never rejects. */
export async function openUploadResume(options: UploadResumeOptions): Promise<UploadResume> {
  const { journals, place, facts, onProblem } = options;
  let problem: OrbweaverError | null = null;
  /** The upload has ended: what is acknowledged from now on comes too late. */
  let over = false;
  const failed = (error: unknown): void => {
    if (problem !== null) return;
    problem = isOrbweaverError(error)
      ? error
      : new OrbweaverError('STORAGE_FAILED', `"${place}" failed: ${error}`, {}, error);
    onProblem(problem);
  };
  const earlier: TransferJournal[] = await takeOver(journals, facts.key).catch((error: unknown) => {
    failed(error);
    return [];
  });
  let opening: Promise<TransferJournal> | null =
    earlier[0] === undefined ? null : Promise.resolve(earlier[0]);
  const opened = async (): Promise<readonly TransferJournal[]> => {
    const own = await opening?.catch(() => null);
    return own === undefined || own === null || earlier.includes(own) ? earlier : [own, ...earlier];
  };

  return {
    async *acknowledged() {
      for (const journal of earlier) {
        try {
          yield* journal.blocks();
        } catch (error) {
          failed(error);
        }
      }
    },
    journal: {
      async onAcknowledged(xorb, bytes, chunks) {
        if (problem !== null || over) return;
        try {
          opening ??= journals.create(facts.begin(), { durable: false, list: facts.list?.() });
          const journal = await opening;
          await journal.appendBlock(acknowledgedShard(xorb, bytes, chunks));
          await journal.append({ type: 'ack', bytes });
        } catch (error) {
          if (!over) failed(error);
        }
      },
    },
    async done() {
      over = true;
      for (const journal of await opened()) await journal.drop().catch(failed);
    },
    async interrupted() {
      over = true;
      const all = await opened();
      for (const journal of all) await journal.close().catch(failed);
      return all[0]?.id ?? null;
    },
  };
}

/** Journals of the same upload that nobody writes to; others that are too old or too many are dropped. */
async function takeOver(journals: Journals, key: () => string): Promise<TransferJournal[]> {
  const uploads = (await journals.list()).filter(({ entries: [first] }) => isUpload(first));
  const nowMs = SYSTEM_CLOCK.unixMs();
  const taken: TransferJournal[] = [];
  let diskBytes = 0;
  for (const { id, busy, changedMs, diskBytes: ownBytes, entries } of uploads) {
    if (busy) continue;
    diskBytes += ownBytes;
    if (nowMs - changedMs > MAX_AGE_MS || diskBytes > MAX_DISK_BYTES) await journals.drop(id);
    else if (entries[0]?.['key'] === key()) {
      const journal = await journals.open(id);
      if (journal !== null) taken.push(journal);
    }
  }
  return taken;
}

function isUpload(first: JournalSummary['entries'][number] | undefined): boolean {
  return first?.type === 'begin' && (first['kind'] === 'upload' || first['kind'] === 'edit');
}

/** The shard that lists one xorb, as a later run learns it. */
export function acknowledgedShard(
  hash: MerkleHash,
  serializedBytes: number,
  chunks: XorbChunks,
): Uint8Array {
  const { hashes: chunkHashes, lengths: chunkLengths } = chunks;
  const chunkStarts = new Uint32Array(chunkLengths.length);
  let rawBytes = 0;
  for (const [i, length] of chunkLengths.entries()) {
    chunkStarts[i] = rawBytes;
    rawBytes += length;
  }
  const chunkFlags = new Uint32Array(chunkLengths.length);
  const xorb = { hash, chunkHashes, chunkStarts, chunkLengths, chunkFlags, rawBytes };
  const shard = { files: [], xorbs: [{ ...xorb, serializedBytes }], footer: null };
  return encodeShard(shard, { variant: 'upload' });
}
