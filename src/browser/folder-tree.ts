import type { Sink } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { RestoreTree } from '../io/index.js';
import type { FolderHandle } from './folder-types.js';
import { told } from './outputs.js';
import type { Places } from './places.js';

/** A folder of a page that a manifest is restored into: without rights, times and links. */
export async function openPageTree(top: FolderHandle, places: Places): Promise<RestoreTree> {
  const folders = new Map<string, Promise<FolderHandle>>([['', Promise.resolve(top)]]);
  const folderOf = (path: string): Promise<FolderHandle> => {
    let folder = folders.get(path);
    if (folder === undefined) {
      const [above, name] = split(path);
      folder = folderOf(above).then((handle) => handle.getDirectoryHandle(name, { create: true }));
      folders.set(path, folder);
      folder.catch(() => folders.delete(path));
    }
    return folder;
  };
  const shown = (path: string): string => `${top.name}/${path}`;
  const fileOf = async (path: string, create: boolean) => {
    const [folder, name] = split(path);
    return (await folderOf(folder)).getFileHandle(name, { create });
  };
  const isEmpty = async (folder: FolderHandle): Promise<boolean> => {
    for await (const _ of folder.values()) return false;
    return true;
  };
  const sinks = await places.within(top);
  return {
    isNew: await told(top.name, () => isEmpty(top)),
    makeFolder: ({ path }) => told(shown(path), async () => isEmpty(await folderOf(path))),
    finishFolder: async () => {},
    writeFile: ({ path }, bytes) =>
      told(shown(path), async () => {
        const stream = await (await fileOf(path, true)).createWritable();
        try {
          const data = bytes as Uint8Array<ArrayBuffer>;
          await stream.write({ type: 'write', position: 0, data });
          await stream.close();
        } catch (error) {
          await stream.abort(error).catch(() => {});
          throw error;
        }
      }),
    fileSink: ({ path, fileHash }, { anew = false } = {}) => {
      const sink = sinks({ path, fileHash, anew, file: () => fileOf(path, true) });
      return { ...sink, name: shown(path) } satisfies Sink;
    },
    async openPresent({ path, sizeBytes }) {
      const file = await (await fileOf(path, false)).getFile();
      if (file.size !== sizeBytes) return null;
      return {
        async read(into, position) {
          const part = await file.slice(position, position + into.length).arrayBuffer();
          into.set(new Uint8Array(part));
          return part.byteLength;
        },
        keep: async () => {},
        close: async () => {},
      };
    },
    openOld: async () => null,
    async makeSymlink({ path }) {
      const message = `"${shown(path)}" expected a place for symbolic links, got a page, which can make none`;
      throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
    },
    async exists(path) {
      const [above, name] = split(path);
      const folder = await folderOf(above);
      const looks = [folder.getFileHandle(name), folder.getDirectoryHandle(name)];
      return (await Promise.allSettled(looks)).some(({ status }) => status === 'fulfilled');
    },
    close: async () => {},
  };
}

function split(path: string): [string, string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, Math.max(0, at)), path.slice(at + 1)];
}
