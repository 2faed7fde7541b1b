/** Files that somebody picked or dropped, folders walked. */
export interface PickedFile {
  /** With the folders that were dropped: `photos/2024/a.jpg`. */
  readonly path: string;
  readonly file: File;
}

/** More than this is for the command line, which can go on after a break. */
export const MAX_FILES = 20_000;

export function fromInput(files: FileList): PickedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** @throws Error for more than {@link MAX_FILES} */
export async function fromDrop(data: DataTransfer): Promise<PickedFile[]> {
  // Entries have to be taken before the first await: the list is empty afterwards.
  const entries = [...data.items]
    .filter((item) => item.kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const found: PickedFile[] = [];
  for (const { entry, file } of entries) {
    if (entry !== null) await walk(entry, '', found);
    else if (file !== null) found.push({ path: file.name, file });
  }
  return found;
}

async function walk(entry: FileSystemEntry, below: string, found: PickedFile[]): Promise<void> {
  const path = below + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    if (found.push({ path, file }) > MAX_FILES) {
      throw new Error(`More than ${MAX_FILES} files at once are for "orbweaver upload".`);
    }
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A folder is told in parts; an empty part is its end.
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (entries.length === 0) return;
    for (const each of entries) await walk(each, `${path}/`, found);
  }
}
