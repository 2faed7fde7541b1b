import type { Sink } from '../client/ports.js';
import { createPageFiles, type PageFiles, type SpawnPageThread } from '../workers/web.js';
import type { Database } from './indexed-db.js';
import { pageLocks } from './locks.js';
import { outputFileSink, webStreamSink } from './outputs.js';
import {
  type OwnPlace,
  ownPlaceOf,
  type StoredFile,
  type StoredFolder,
  storageRoot,
} from './own-storage.js';
import { type PartTarget, partSink } from './part-sink.js';
import { createParts, type Parts } from './parts.js';
import type { OutputFile } from './types.js';

/** Folder of unfinished files in the page's own storage. */
const PARTS_FOLDER = '.orbweaver';

/** What is to be written. */
export interface Wanted {
  readonly fileHash: string;
  /** Not a range of it. */
  readonly isWhole: boolean;
  /** As of a download. */
  readonly resume: boolean | undefined;
}

/** Makes the outputs of a client. */
export interface Places {
  /** @throws OrbweaverError `OUTPUT_UNWRITABLE` */
  sinkOf(to: OutputFile | WritableStream<Uint8Array>, wanted: Wanted): Promise<Sink>;
  close(): Promise<void>;
}

export interface PlacesOptions {
  readonly spawn: SpawnPageThread;
  /** Without threads nothing is written in place. */
  readonly threads: number;
  /** Null: nothing is left for later. */
  readonly memory: { readonly name: string; readonly database: Database } | null;
}

export function createPlaces({ spawn, threads, memory }: PlacesOptions): Places {
  let files: PageFiles | null = null;
  let opening: Promise<OwnStorage | null> | null = null;
  const open = async (): Promise<OwnStorage | null> => {
    const root = threads === 0 ? null : await storageRoot();
    if (root === null) return null;
    const all = await root.getDirectoryHandle(PARTS_FOLDER, { create: true });
    // Each database knows its own parts, and takes what it does not know for stale.
    const name = memory === null ? 'passing' : `kept-${encodeURIComponent(memory.name)}`;
    const folder = await all.getDirectoryHandle(name, { create: true });
    const database = memory?.database ?? null;
    return { root, parts: createParts({ folder, database, locks: pageLocks() }) };
  };
  return {
    async sinkOf(to, { fileHash, isWhole, resume }) {
      if ('getWriter' in to) return webStreamSink(to, fileHash);
      opening ??= open().catch(() => null);
      const storage = await opening;
      const own = storage === null ? null : await ownPlaceOf(storage.root, to);
      const isKept = isWhole && memory !== null;
      if (storage === null || (own === null && !(isKept && resume === true))) {
        return outputFileSink(to);
      }
      files ??= createPageFiles({ spawn });
      const content = isKept ? fileHash : null;
      const target = own === null ? userTarget(to) : ownTarget(own);
      return partSink(target, { parts: storage.parts, files, content, anew: resume === false });
    },
    async close() {
      await files?.close();
    },
  };
}

interface OwnStorage {
  readonly root: StoredFolder;
  readonly parts: Parts;
}

function ownTarget({ folder, name, path }: OwnPlace): PartTarget {
  return {
    name,
    key: `own ${path}`,
    async take(file) {
      if (file.move !== undefined) await file.move(folder, name);
      else await copyTo(file, await folder.getFileHandle(name, { create: true }));
    },
  };
}

/** A file of the user: where it lies, a page does not know. */
function userTarget(to: OutputFile): PartTarget {
  return { name: to.name, key: `user ${to.name}`, take: (file) => copyTo(file, to) };
}

async function copyTo(file: StoredFile, to: OutputFile): Promise<void> {
  const stream = (await to.createWritable()) as unknown as WritableStream<Uint8Array>;
  await (await file.getFile()).stream().pipeTo(stream);
}
