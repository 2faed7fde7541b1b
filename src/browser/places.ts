import type { Sink } from '../client/ports.js';
import { createPageFiles, type PageFiles, type SpawnPageThread } from '../workers/web.js';
import type { FolderHandle } from './folder-types.js';
import type { Database } from './indexed-db.js';
import { pageLocks } from './locks.js';
import { lateFileSink, outputFileSink, webStreamSink } from './outputs.js';
import {
  folderAt,
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

/** A file below a folder that is written to. */
export interface WantedBelow {
  /** From the folder, with slashes. */
  readonly path: string;
  readonly fileHash: string;
  readonly anew: boolean;
  /** Makes the file. */
  readonly file: () => Promise<OutputFile>;
}

/** Makes the outputs of a client. */
export interface Places {
  /** The same for files below a folder: in the page's own storage they go on where an earlier call stopped. */
  within(folder: FolderHandle): Promise<(wanted: WantedBelow) => Sink>;
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
    async within(top) {
      opening ??= open().catch(() => null);
      const storage = await opening;
      const names = storage === null ? null : await storage.root.resolve(top).catch(() => null);
      if (storage === null || names === null) return ({ path, file }) => lateFileSink(path, file);
      files ??= createPageFiles({ spawn });
      const thread = files;
      const { parts, root } = storage;
      return ({ path, fileHash, anew }) => {
        const all = [...names, ...path.split('/')];
        const target = ownTarget({
          path: all.join('/'),
          name: all.at(-1) as string,
          folder: () => folderAt(root, all.slice(0, -1)),
        });
        const content = memory === null ? null : fileHash;
        return partSink(target, { parts, files: thread, content, anew });
      };
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
      const above = await folder();
      if (file.move !== undefined) await file.move(above, name);
      else await copyTo(file, await above.getFileHandle(name, { create: true }));
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
