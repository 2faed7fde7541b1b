import { OrbweaverError } from '../errors.js';
import type { Exchange } from '../http/index.js';
import { createJournals, removeKeptParts } from '../io/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { cancelTransfer } from '../transport/targets.js';
import { type StoredTransfer, storedTransferOf } from './stored-transfer.js';
import { createTarget, parseTargetAddress } from './target-factories.js';
import { type TargetUploadOptions, wireOf } from './targets.js';

/**
 * Unfinished transfers, newest first.
 * @throws OrbweaverError `STORAGE_FAILED`, `OUTPUT_UNWRITABLE` for a folder that cannot be read
 */
export async function listTransfers(journalFolder: string): Promise<readonly StoredTransfer[]> {
  const stored = (await createJournals(journalFolder).list()).map(storedTransferOf);
  return stored.filter((transfer) => transfer !== null);
}

/** @throws OrbweaverError `USAGE` when there is none with this id */
export async function findTransfer(journalFolder: string, id: string): Promise<StoredTransfer> {
  const found = (await listTransfers(journalFolder)).find((transfer) => transfer.id === id);
  if (found === undefined) {
    throw new OrbweaverError('USAGE', `no unfinished transfer has the id "${id}"`);
  }
  return found;
}

/** Removes what is remembered, and asks nobody. @throws OrbweaverError `USAGE` */
export async function forgetTransfer(journalFolder: string, id: string): Promise<void> {
  const found = await findTransfer(journalFolder, id);
  if (!(await createJournals(journalFolder).drop(id))) throw isBusy(id);
  // What a download has written lies beside its target.
  if (found.kind === 'download') await removeKeptParts(found.path, found.fileHash);
}

/** What {@link cancelStoredTransfer} is told. */
export interface CancelStoredOptions
  extends Pick<TargetUploadOptions, 'proxy' | 'noProxy' | 'ca' | 'limitUpload'> {
  readonly journalFolder: string;
  readonly id: string;
  readonly token?: string | undefined;
  readonly settings?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Sends the requests instead of the sockets of this process. */
  readonly exchange?: Exchange | undefined;
}

const RULES: OptionRules<CancelStoredOptions> = {
  journalFolder: is.required(is.text),
  id: is.required(is.text),
  token: is.text,
  settings: is.object,
  proxy: is.text,
  noProxy: is.texts,
  ca: is.text,
  limitUpload: is.number(1),
  signal: is.signal,
  exchange: is.callback,
};

/**
 * Gives up an upload at its target, as far as that can be, and here.
 * @returns what the target says: `unsupported` when it has nothing to cancel with
 * @throws OrbweaverError `USAGE` for an id that does not exist or is in use; what the target throws
 */
export async function cancelStoredTransfer(
  options: CancelStoredOptions,
): Promise<'cancelled' | 'too-late' | 'unsupported'> {
  checkOptions('cancelStoredTransfer', options, RULES);
  const { journalFolder, id, token, settings = {} } = options;
  const found = await findTransfer(journalFolder, id);
  if (found.kind !== 'upload-to') {
    const text = `the transfer "${id}" expected an upload to another system, is ${KINDS[found.kind]}: forget it instead`;
    throw new OrbweaverError('USAGE', text);
  }
  const { kind, url } = parseTargetAddress(found.to);
  const wire = options.exchange === undefined ? wireOf(options) : null;
  const exchange = options.exchange ?? (wire as { exchange: Exchange }).exchange;
  const target = createTarget(kind, {
    exchange,
    clock: SYSTEM_CLOCK,
    random: systemRandom,
    url,
    token,
    settings,
  });
  try {
    const journal = await createJournals(journalFolder).open(id);
    if (journal === null) throw isBusy(id);
    try {
      return await cancelTransfer(target, journal, options.signal ?? new AbortController().signal);
    } finally {
      await journal.close();
    }
  } finally {
    await target.close?.();
    wire?.close();
  }
}

const KINDS = { upload: 'an upload', edit: 'an edit', download: 'a download' } as const;

function isBusy(id: string): OrbweaverError {
  return new OrbweaverError('USAGE', `a process that still runs is at the transfer "${id}"`);
}
