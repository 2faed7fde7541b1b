import { resolve } from 'node:path';
import type { JournalSummary, TransferJournal } from '../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { createJournals } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { downloadBegin } from './transfer-begin.js';
import type { HubPlace } from './transfer-command.js';

/**
 * What the list of unfinished transfers shows of a download. The bytes themselves, and what is known of
 * them, lie beside the target: this is only how far it got, and the command that goes on. Nothing of it
 * rejects, and a folder that cannot be written is told once.
 */

/** A download is listed when so much is written; smaller ones begin anew. */
const LEAST_BYTES: number = 4 * 1024 * 1024;
/** An entry is written each time that so much more is done. */
const ENTRY_BYTES: number = 64 * 1024 * 1024;
/** As long as a part is kept. */
const MAX_AGE_MS: number = 7 * 24 * 60 * 60 * 1000;

export interface DownloadMemoryOptions {
  readonly stateFolder: string;
  readonly endpoint: string;
  readonly fileHash: string;
  /** Of the target. */
  readonly path: string;
  /** Options of the command that began it. */
  readonly options: readonly string[];
  /** The repository that it is from. @default none */
  readonly hub?: HubPlace | undefined;
  readonly onProblem: (error: OrbweaverError) => void;
}

export interface DownloadMemory {
  /** So many bytes are written, of so many in all as far as that is known. */
  written(doneBytes: number, totalBytes: number | undefined): void;
  /** It is over: nothing is listed. */
  done(): Promise<void>;
  /** It is not. The id of the transfer; null: nothing is kept of it. */
  interrupted(keptBytes: number): Promise<string | null>;
}

export function rememberDownload(options: DownloadMemoryOptions): DownloadMemory {
  const { stateFolder, endpoint, fileHash, hub, onProblem } = options;
  const path = resolve(options.path);
  const journals = createJournals(stateFolder);
  let opening: Promise<TransferJournal | null> | null = null;
  /** What the entries of the journal add up to. */
  let listedBytes = 0;
  let isTold = false;
  /** The download has ended: what is still on its way to the journal comes too late. */
  let isOver = false;
  const failed = (error: unknown): null => {
    if (!isTold && !isOver) {
      isTold = true;
      onProblem(
        isOrbweaverError(error)
          ? error
          : new OrbweaverError('STORAGE_FAILED', `"${stateFolder}" failed: ${error}`, {}, error),
      );
    }
    return null;
  };
  const isSame = ({ entries: [first] }: JournalSummary): boolean =>
    isDownload(first) &&
    first?.['path'] === path &&
    first['fileHash'] === fileHash &&
    first['endpoint'] === endpoint;
  const open = async (sizeBytes: number | null): Promise<TransferJournal> => {
    let found: TransferJournal | null = null;
    for (const summary of await journals.list()) {
      if (summary.busy || !isDownload(summary.entries[0])) continue;
      const isOld = SYSTEM_CLOCK.unixMs() - summary.changedMs > MAX_AGE_MS;
      if (isOld || (found !== null && isSame(summary))) await journals.drop(summary.id);
      else if (isSame(summary)) found = await journals.open(summary.id);
    }
    if (found === null) {
      const facts = { endpoint, fileHash, path, sizeBytes, options: options.options };
      const place = hub === undefined ? {} : { hub };
      return journals.create(downloadBegin({ ...facts, ...place }), { durable: false });
    }
    for (const { type, bytes } of found.entries) {
      if (type === 'ack' && typeof bytes === 'number') listedBytes += bytes;
    }
    return found;
  };
  const list = async (journal: TransferJournal, doneBytes: number): Promise<void> => {
    const bytes = doneBytes - listedBytes;
    listedBytes = doneBytes;
    if (bytes !== 0) await journal.append({ type: 'ack', bytes });
  };

  return {
    written(doneBytes, totalBytes) {
      if (opening === null) {
        if (doneBytes < LEAST_BYTES) return;
        opening = open(totalBytes ?? null).catch(failed);
      } else if (doneBytes - listedBytes < ENTRY_BYTES) return;
      void opening
        .then((journal) => (journal === null || isOver ? undefined : list(journal, doneBytes)))
        .catch(failed);
    },
    async done() {
      isOver = true;
      const journal = await opening;
      await journal?.drop().catch(failed);
    },
    async interrupted(keptBytes) {
      isOver = true;
      const journal = (await opening) ?? null;
      if (journal === null) return null;
      try {
        if (keptBytes === 0) {
          await journal.drop();
          return null;
        }
        await list(journal, keptBytes);
        await journal.close();
        return journal.id;
      } catch (error) {
        isOver = false;
        return failed(error);
      }
    },
  };
}

function isDownload(first: JournalSummary['entries'][number] | undefined): boolean {
  return first?.type === 'begin' && first['kind'] === 'download';
}
