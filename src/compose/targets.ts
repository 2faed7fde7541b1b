import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { JournalEntry, Journals, Source, TransferJournal } from '../client/ports.js';
import type { DigestName } from '../digests/index.js';
import { asError } from '../errors.js';
import { Budget, RateLimit } from '../flow/index.js';
import type { Exchange } from '../http/index.js';
import { createJournals } from '../io/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import {
  createTargetWire,
  DEFAULT_BUDGET_BYTES,
  runTargets,
  type TargetInput,
  type TargetResult,
  type TargetWire,
  type TransferProgress,
  type UploadTarget,
} from '../transport/targets.js';
import { createDigestMaker } from '../workers/index.js';
import { inputList, inputName, isNamed, toSource, type UploadInput } from './input.js';
import { createTarget, parseTargetAddress } from './target-factories.js';

/** How files go to another upload system. */
export interface TargetUploadOptions {
  /** `multipart:URL`, … */
  readonly to: string;
  /** The secret of this target: a token, passphrase or key. @default none is sent */
  readonly token?: string | undefined;
  /** Settings of this kind of target, by name; docs/targets.md lists them. @default none */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Folder of the journals, for going on after a crash; null: nothing is remembered. @default null */
  readonly journalFolder?: string | null | undefined;
  /** Size of an input that does not know its own: a pipe or stream. @default such an input is refused */
  readonly sizeBytes?: number | undefined;
  /** Bytes of parts in memory. @default 67108864 */
  readonly maxMemory?: number | undefined;
  /** Threads for digests; 0: none. @default 3 */
  readonly digestThreads?: number | undefined;
  /** Digests wanted besides those of the target. @default none */
  readonly alsoDigests?: readonly DigestName[] | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** Sends the requests instead of the sockets of this process, and then the following are of no effect. */
  readonly exchange?: Exchange | undefined;
  /** URL of an HTTP proxy that all requests go through in tunnels. @default none */
  readonly proxy?: string | undefined;
  /** Hosts that are asked without it, as in NO_PROXY. @default none */
  readonly noProxy?: readonly string[] | undefined;
  /** Authorities to trust besides those that Node trusts, PEM. @default none */
  readonly ca?: string | undefined;
  /** Most bytes per second that are sent. @default no limit */
  readonly limitUpload?: number | undefined;
}

const TARGET_UPLOAD_RULES: OptionRules<TargetUploadOptions> = {
  to: is.required(is.text),
  token: is.text,
  settings: is.object,
  journalFolder: is.either(is.text, is.none),
  sizeBytes: is.integer(0),
  maxMemory: is.integer(1),
  digestThreads: is.integer(0),
  alsoDigests: is.texts,
  signal: is.signal,
  onProgress: is.callback,
  exchange: is.callback,
  proxy: is.text,
  noProxy: is.texts,
  ca: is.text,
  limitUpload: is.number(1),
};

/** A file that is at the target, or why it is not. */
export type TargetOutcome =
  | { readonly path: string; readonly result: TargetResult }
  | { readonly path: string; readonly error: Error };

/**
 * Uploads files to another upload system. A file that fails is an error in its place. With a folder
 * for journals the same call goes on where an earlier one stopped: for a path that has neither changed
 * its size nor its time.
 *
 * @throws OrbweaverError `USAGE` for a target or settings that cannot be; TypeError for what is no input
 * or option
 * @example
 * const [outcome] = await uploadToTarget(['model.bin'], { to: 'multipart:https://host/drive', token });
 */
export async function uploadToTarget(
  inputs: UploadInput | readonly UploadInput[],
  options: TargetUploadOptions,
): Promise<readonly TargetOutcome[]> {
  checkOptions('uploadToTarget', options, TARGET_UPLOAD_RULES);
  const list = inputList(inputs);
  const { to, token, settings = {}, journalFolder = null, maxMemory, signal } = options;
  const { kind, url } = parseTargetAddress(to);
  const wire = options.exchange === undefined ? wireOf(options) : null;
  const exchange = options.exchange ?? (wire as { exchange: Exchange }).exchange;
  const clock = SYSTEM_CLOCK;
  const random = systemRandom;
  const digests = createDigestMaker({ threads: options.digestThreads });
  let target: UploadTarget | null = null;
  try {
    target = createTarget(kind, { exchange, clock, random, url, token, settings });
    const budget = new Budget({ capacityBytes: maxMemory ?? DEFAULT_BUDGET_BYTES });
    const journals = journalFolder === null ? null : createJournals(journalFolder);
    const outcomes: (TargetOutcome | null)[] = list.map(() => null);
    const ready: (TargetInput & { readonly index: number })[] = [];
    for (const [index, input] of list.entries()) {
      const path = inputName(input);
      try {
        const source = sized(await toSource(input), options.sizeBytes);
        const facts = journals === null ? null : await factsOf(input, to);
        const journal =
          journals === null || facts === null ? undefined : await journalFor(journals, facts);
        const modifiedMs = facts === null ? undefined : Number(facts['modifiedMs']);
        const { alsoDigests, onProgress } = options;
        const shared = { clock, random, digests, budget, alsoDigests, signal, onProgress };
        ready.push({ index, source, options: { ...shared, journal, modifiedMs } });
      } catch (error) {
        outcomes[index] = { path, error: asError(error) };
      }
    }
    const results = await runTargets(ready, target);
    for (const [i, result] of results.entries()) {
      const { index } = ready[i] as (typeof ready)[number];
      const path = inputName(list[index] as UploadInput);
      outcomes[index] = result instanceof Error ? { path, error: result } : { path, result };
    }
    return outcomes as TargetOutcome[];
  } finally {
    await target?.close?.();
    await digests.close();
    wire?.close();
  }
}

/** Connections as the options say. @throws TypeError */
export function wireOf({
  proxy,
  noProxy,
  ca,
  limitUpload,
}: Pick<TargetUploadOptions, 'proxy' | 'noProxy' | 'ca' | 'limitUpload'>): TargetWire {
  const upload = new RateLimit(SYSTEM_CLOCK, limitUpload);
  return createTargetWire({ proxy, noProxy, ca, rates: { upload } });
}

/** A source of unknown size with the size that the caller knows; the engine holds it to it. */
function sized(source: Source, sizeBytes: number | undefined): Source {
  if (source.sizeBytes !== undefined || sizeBytes === undefined) return source;
  const { name, reopenable } = source;
  return { name, reopenable, sizeBytes, open: (signal) => source.open(signal) };
}

/** How a file is known again: target, path, size and time. Null: a stream, which is never resumed. */
async function factsOf(input: UploadInput, to: string): Promise<JournalEntry | null> {
  const data = isNamed(input) ? input.data : input;
  if (typeof data !== 'string') return null;
  const stats = await stat(data);
  if (!stats.isFile()) return null;
  const { size, mtimeMs } = stats;
  return { type: 'begin', to, path: resolve(data), sizeBytes: size, modifiedMs: mtimeMs };
}

/** The journal of an earlier run of the same file, else a new one. */
async function journalFor(journals: Journals, facts: JournalEntry): Promise<TransferJournal> {
  const wanted = JSON.stringify(facts);
  for (const { id, entries, busy } of await journals.list()) {
    if (busy || JSON.stringify(entries[0]) !== wanted) continue;
    const journal = await journals.open(id);
    if (journal !== null) return journal;
  }
  return journals.create(facts);
}
