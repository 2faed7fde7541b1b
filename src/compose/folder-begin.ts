import { type Pace, Teller } from '../client/downloads.js';
import { Scope } from '../flow/index.js';
import type { ManifestTotals } from '../folder/index.js';
import type { Spool } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { DownloadParts } from './download.js';
import { checkSpool, type FetchedManifest, fetchManifest } from './folder-manifest.js';
import type { FolderDownloadOptions, FolderDownloadProgress } from './folder-types.js';

type Given = Pick<FolderDownloadOptions, 'names' | 'signal' | 'onProgress'>;

export type Standing = Omit<FolderDownloadProgress, keyof Pace>;

/** Tells the listener of a restore where it stands, from its first request on. */
export interface Narrator {
  readonly tell: () => void;
  /** From now on this says where it stands. */
  readonly tellOf: (standing: () => Standing) => void;
}

/** A manifest that was fetched and found right, and who is told what follows. */
export interface Begun {
  readonly manifest: FetchedManifest;
  readonly totals: ManifestTotals;
  readonly narrator: Narrator;
}

/**
 * Fetches a manifest into a spool, checks all of it and does something with it. The listener is told throughout, also
 * while there is nothing but a manifest that comes.
 *
 * @throws what `fetchManifest`, `ManifestReader` and `use` throw
 */
export async function withManifest<T>(
  parts: DownloadParts,
  manifestHash: string,
  spool: Spool,
  { names = 'portable', signal, onProgress }: Given,
  use: (begun: Begun) => Promise<T>,
): Promise<T> {
  let fetchedBytes = 0;
  let standing = (): Standing => ({
    ...{ phase: 'planning', writtenBytes: 0, totalBytes: undefined },
    ...{ fetchedBytes, resumedBytes: 0, seededBytes: 0 },
    ...{ doneFileCount: 0, fileCount: undefined, file: null },
  });
  const scope = new Scope({ clock: SYSTEM_CLOCK, what: 'the download' });
  const teller = new Teller<Standing>({
    ...{ clock: SYSTEM_CLOCK, scope, listener: onProgress },
    standing: () => standing(),
    doneOf: ({ writtenBytes }) => writtenBytes,
  });
  try {
    teller.tell();
    const onFetched = (bytes: number): void => {
      fetchedBytes = bytes;
      teller.tell();
    };
    const manifest = await fetchManifest(parts, manifestHash, spool, { signal, onFetched });
    const totals = await checkSpool(spool, names);
    const narrator: Narrator = {
      tell: () => teller.tell(),
      tellOf(next) {
        standing = next;
      },
    };
    return await use({ manifest, totals, narrator });
  } finally {
    scope.close();
  }
}
