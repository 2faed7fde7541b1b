import type { JournalEntry } from '../client/ports.js';
import type { HubPlace } from './transfer-command.js';

/**
 * First entries of journals. Four kinds of transfers share one folder:
 *
 *     {"type":"begin","kind":"upload","endpoint",…}      to a store of the CAS protocol
 *     {"type":"begin","kind":"edit","endpoint",…}        of a stored file
 *     {"type":"begin","kind":"download","endpoint",…}    from a store
 *     {"type":"begin","to":"multipart:…",…}              to another upload system (`upload-to`)
 *
 * Progress of the first three is in `{"type":"ack","bytes"}` entries: bytes that are certain since the
 * last one. Secrets are in none of them.
 */

/** Characters of paths that a first entry holds; who gives more has to give them again. */
const MAX_PATHS_LENGTH = 1024 * 1024;

/** The first entry of the journal of an upload to a store. `key` tells the same inputs again. */
export function uploadBegin(facts: {
  readonly endpoint: string;
  readonly key: string;
  readonly paths: readonly string[];
  /** More than `paths` when some cannot be written down. */
  readonly pathCount: number;
  /** Paths of a list that lies beside the journal. */
  readonly listedCount?: number;
  /** The repository that it is for. */
  readonly hub?: HubPlace;
  readonly sizeBytes: number | null;
  readonly options: readonly string[];
}): JournalEntry {
  const { paths, ...rest } = facts;
  let length = 0;
  const kept = paths.filter((path) => {
    length += path.length;
    return length <= MAX_PATHS_LENGTH;
  });
  return { type: 'begin', kind: 'upload', ...rest, paths: kept };
}

/** The first entry of the journal of an edit; `splices` are as the command line has them. */
export function editBegin(facts: {
  readonly endpoint: string;
  readonly key: string;
  readonly fileHash: string;
  readonly splices: readonly string[];
  readonly options: readonly string[];
}): JournalEntry {
  return { type: 'begin', kind: 'edit', ...facts };
}

/** The first entry of the journal of a download from a store. */
export function downloadBegin(facts: {
  readonly endpoint: string;
  readonly fileHash: string;
  readonly path: string;
  readonly sizeBytes: number | null;
  readonly options: readonly string[];
  /** The repository that it is from. */
  readonly hub?: HubPlace;
}): JournalEntry {
  return { type: 'begin', kind: 'download', ...facts };
}
