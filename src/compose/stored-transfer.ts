import type { JournalEntry, JournalSummary } from '../client/ports.js';
import { replay, type TargetIds } from '../transport/targets.js';
import type { HubPlace } from './transfer-command.js';

/** What the list of unfinished transfers shows of a journal; `transfer-begin.ts` says how one begins. */

/** An unfinished transfer of any kind, as its journal tells. */
export type StoredTransfer = StoredUpload | StoredEdit | StoredDownload | StoredTargetUpload;

interface Stored {
  readonly id: string;
  /** Absolute path that is read or written, the first one of several; "-" is standard input. */
  readonly path: string;
  /** Bytes in all; null: not known. */
  readonly sizeBytes: number | null;
  /** Milliseconds since the Unix epoch of the last entry. */
  readonly changedMs: number;
  /** A process that still runs is at it. */
  readonly busy: boolean;
}

/** An upload to a store. */
export interface StoredUpload extends Stored {
  readonly kind: 'upload';
  readonly endpoint: string;
  /** Absolute; fewer than `pathCount` when all of them would have been too long to write down. */
  readonly paths: readonly string[];
  readonly pathCount: number;
  /** The list of paths below the one in `paths` that is meant; absent: all of it is. */
  readonly list?: StoredList;
  /** The repository that it is for; absent: none, the store is all. */
  readonly hub?: HubPlace;
  /** Bytes of xorbs that the store has acknowledged. */
  readonly doneBytes: number;
  /** What else the command line said, as options of the command. */
  readonly options: readonly string[];
}

/** What `--files-from` has read. */
export interface StoredList {
  readonly count: number;
  /** The list itself, each path ended by NUL; null: it was not written down. */
  readonly path: string | null;
}

/** An edit of a stored file. */
export interface StoredEdit extends Stored {
  readonly kind: 'edit';
  readonly endpoint: string;
  /** Of the file that is changed. */
  readonly fileHash: string;
  /** `OFFSET:DELETE:FILE` each, as the command takes them. */
  readonly splices: readonly string[];
  /** Bytes of xorbs that the store has acknowledged. */
  readonly doneBytes: number;
  /** What else the command line said, as options of the command. */
  readonly options: readonly string[];
}

/** A download from a store. */
export interface StoredDownload extends Stored {
  readonly kind: 'download';
  readonly endpoint: string;
  readonly fileHash: string;
  /** The repository that it is from; absent: none, the store is all. */
  readonly hub?: HubPlace;
  /** Bytes of the file that are verified on disk. */
  readonly doneBytes: number;
  readonly options: readonly string[];
}

/** An upload to another system. */
export interface StoredTargetUpload extends Stored {
  readonly kind: 'upload-to';
  /** `KIND:URL` */
  readonly to: string;
  readonly sizeBytes: number;
  /** `begun`, `sending`, `committing` (whose outcome may be unknown), `pending` over there. */
  readonly stage: 'begun' | 'sending' | 'committing' | 'pending';
  /** Parts that are there. */
  readonly partCount: number;
  /** What is needed to look at the target. */
  readonly ids: TargetIds;
}

/** What a journal is about; null: something that this version does not know. */
export function storedTransferOf(summary: JournalSummary): StoredTransfer | null {
  const [first] = summary.entries;
  if (first?.type !== 'begin') return null;
  if (first['kind'] === 'upload') return storedUploadOf(summary, first);
  if (first['kind'] === 'edit') return storedEditOf(summary, first);
  if (first['kind'] === 'download') return storedDownloadOf(summary, first);
  return first['kind'] === undefined ? storedTargetUploadOf(summary, first) : null;
}

function storedUploadOf(summary: JournalSummary, first: JournalEntry): StoredUpload | null {
  const { id, changedMs, busy, entries } = summary;
  const { endpoint, pathCount, listedCount } = first;
  const paths = textsOf(first['paths']);
  const [path] = paths;
  if (typeof endpoint !== 'string' || typeof pathCount !== 'number' || path === undefined) {
    return null;
  }
  return {
    ...{ kind: 'upload', id, endpoint, path, paths, pathCount },
    ...{ sizeBytes: sizeOf(first), doneBytes: doneBytesOf(entries), changedMs, busy },
    options: textsOf(first['options']),
    ...(typeof listedCount === 'number'
      ? { list: { count: listedCount, path: summary.listPath ?? null } }
      : {}),
    ...hubOf(first),
  };
}

function storedEditOf(summary: JournalSummary, first: JournalEntry): StoredEdit | null {
  const { id, changedMs, busy, entries } = summary;
  const { endpoint, fileHash } = first;
  const splices = textsOf(first['splices']);
  if (typeof endpoint !== 'string' || typeof fileHash !== 'string' || splices.length === 0) {
    return null;
  }
  const files = splices.map((splice) => splice.split(':').slice(2).join(':'));
  return {
    ...{ kind: 'edit', id, endpoint, fileHash, splices },
    ...{ path: files.find((file) => file !== '') ?? '', sizeBytes: null },
    ...{ doneBytes: doneBytesOf(entries), changedMs, busy },
    options: textsOf(first['options']),
  };
}

function storedDownloadOf(summary: JournalSummary, first: JournalEntry): StoredDownload | null {
  const { id, changedMs, busy, entries } = summary;
  const { endpoint, fileHash, path } = first;
  if (typeof endpoint !== 'string' || typeof fileHash !== 'string' || typeof path !== 'string') {
    return null;
  }
  return {
    ...{ kind: 'download', id, endpoint, fileHash, path },
    ...{ sizeBytes: sizeOf(first), doneBytes: doneBytesOf(entries), changedMs, busy },
    options: textsOf(first['options']),
    ...hubOf(first),
  };
}

function hubOf({ hub }: JournalEntry): { readonly hub?: HubPlace } {
  if (typeof hub !== 'object' || hub === null) return {};
  const { url, address, cache } = hub as Readonly<Record<string, unknown>>;
  if (typeof url !== 'string' || (typeof address !== 'string' && address !== null)) return {};
  return { hub: { url, address, ...(typeof cache === 'string' ? { cache } : {}) } };
}

function storedTargetUploadOf(
  { id, changedMs, busy, entries }: JournalSummary,
  { to, path, sizeBytes }: JournalEntry,
): StoredTargetUpload | null {
  if (typeof to !== 'string' || typeof path !== 'string' || typeof sizeBytes !== 'number') {
    return null;
  }
  const { prior } = replay(entries);
  const stage =
    prior === null
      ? 'begun'
      : prior.pending !== null
        ? 'pending'
        : prior.commitStarted
          ? 'committing'
          : 'sending';
  return {
    ...{ kind: 'upload-to', id, to, path, sizeBytes, changedMs, busy, stage },
    partCount: prior?.acks.length ?? 0,
    ids: { ...prior?.ids, ...prior?.pending?.ids },
  };
}

function doneBytesOf(entries: readonly JournalEntry[]): number {
  let sum = 0;
  for (const { type, bytes } of entries) {
    if (type === 'ack' && typeof bytes === 'number') sum += bytes;
  }
  return sum;
}

function sizeOf({ sizeBytes }: JournalEntry): number | null {
  return typeof sizeBytes === 'number' ? sizeBytes : null;
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((text) => typeof text === 'string') : [];
}
