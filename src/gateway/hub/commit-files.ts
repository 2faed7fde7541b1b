import { MerkleHash } from '../../hash/index.js';
import { gitBlobId } from '../../io/index.js';
import { rejected } from '../failures.js';
import { createYielder } from '../turns.js';
import type { Claim } from './claims.js';
import { hubFailure } from './errors.js';
import type { FileEntry } from './formats.js';
import { EMPTY_FILE, type Hub } from './hub.js';
import { lfsPointer, SHA256_HEX } from './ids.js';
import type { Change } from './tree-edit.js';

/** Files of a commit: those that come in its lines, and those of Git LFS that its lines name. */

/** What a line says. */
export type Value = Readonly<Record<string, unknown>>;

/** Small files that are stored together. */
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_FILES = 1000;

/** Small files: stored when there are some, and put into their places in the list of changes. */
export function createInlineFiles(
  hub: Hub,
  signal: AbortSignal,
  changes: Change[],
): {
  add(path: readonly string[], bytes: Uint8Array): Promise<void>;
  flush(): Promise<void>;
  waitingBytes(): number;
} {
  let waiting: {
    readonly at: number;
    readonly path: readonly string[];
    readonly bytes: Uint8Array;
  }[] = [];
  let waitingBytes = 0;
  const flush = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    waitingBytes = 0;
    const full = batch.filter(({ bytes }) => bytes.length > 0);
    const stored =
      full.length === 0
        ? []
        : await hub.store(
            full.map(({ bytes }) => bytes),
            signal,
          );
    for (const [i, { at, path, bytes }] of full.entries()) {
      const { fileHash, sha256 } = stored[i] as (typeof stored)[number];
      changes[at] = {
        kind: 'put',
        path,
        file: {
          kind: 'file',
          sizeBytes: bytes.length,
          file: MerkleHash.parse(fileHash),
          sha256,
          blobId: gitBlobId(bytes),
          lfs: false,
        },
      };
    }
  };
  return {
    flush,
    waitingBytes: () => waitingBytes,
    async add(path, bytes) {
      // Its place in the order of changes; what stands there is put in when it was stored.
      const at = changes.push({ kind: 'put', path, file: EMPTY_ENTRY }) - 1;
      waiting.push({ at, path, bytes });
      waitingBytes += bytes.length;
      if (waitingBytes >= BATCH_BYTES || waiting.length >= BATCH_FILES) await flush();
    },
  };
}

export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** A file without bytes. */
const EMPTY_ENTRY: FileEntry = {
  kind: 'file',
  sizeBytes: 0,
  file: EMPTY_FILE,
  sha256: EMPTY_SHA256,
  blobId: gitBlobId(new Uint8Array(0)),
  lfs: false,
};

/** Files of Git LFS that are looked up together. */
const LOOKUPS = 1000;
/** Entries that are made between two pauses: each is two hashes of a short text. */
const ENTRIES_PER_TURN = 64;

/** Files of Git LFS: looked up when there are some, and put into their places in the list of changes. */
export function createLfsChanges(
  hub: Hub,
  changes: Change[],
): { add(path: readonly string[], value: Value): Promise<void>; flush(): Promise<void> } {
  let waiting: { readonly at: number; readonly path: readonly string[]; readonly value: Value }[] =
    [];
  const flush = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    const named = batch.map(({ value }) => textOf(value, 'oid'));
    const claims = await hub.claims.findAll(named);
    const yieldAfter = createYielder(ENTRIES_PER_TURN);
    for (const [i, { at, path, value }] of batch.entries()) {
      const oid = named[i] as string;
      changes[at] = { kind: 'put', path, file: entryOf(oid, claims.get(oid), value['size']) };
      await yieldAfter(1);
    }
  };
  return {
    flush,
    async add(path, value) {
      if (!SHA256_HEX.test(textOf(value, 'oid'))) {
        throw rejected('"oid" expected 64 hexadecimal digits');
      }
      const at = changes.push({ kind: 'put', path, file: EMPTY_ENTRY }) - 1;
      waiting.push({ at, path, value });
      if (waiting.length >= LOOKUPS) await flush();
    },
  };
}

/** The entry for a file of Git LFS that was uploaded. @throws OrbweaverError 404, 400 */
export async function lfsEntry(hub: Hub, sha256: string, size: unknown): Promise<FileEntry> {
  return entryOf(sha256, await hub.claims.find(sha256), size);
}

function entryOf(sha256: string, claim: Claim | null | undefined, size: unknown): FileEntry {
  const found = sha256 === EMPTY_SHA256 ? { file: EMPTY_FILE, sizeBytes: 0 } : claim;
  if (!found) {
    throw hubFailure(
      404,
      'EntryNotFound',
      `LFS pointer pointed to a file that does not exist: ${sha256}`,
    );
  }
  const { file, sizeBytes } = found;
  if (typeof size === 'number' && size !== sizeBytes) {
    throw rejected(`"size" of ${sha256} expected ${sizeBytes}, got ${size}`);
  }
  const blobId = gitBlobId(lfsPointer(sha256, sizeBytes));
  return { kind: 'file', sizeBytes, file, sha256, blobId, lfs: true };
}

/** A text of a line. @throws OrbweaverError 400 */
export function textOf(value: Value, name: string): string {
  const text = value[name];
  if (typeof text === 'string') return text;
  throw rejected(`"${name}" expected a text`);
}
