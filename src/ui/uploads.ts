import { ApiError, messageOf } from './api.js';
import { plural } from './format.js';
import { addToBucket, askHowToSend, commit } from './hub.js';
import type { PickedFile } from './picked.js';
import type { RepoName } from './route.js';
import { createSender, type StoredFile } from './senders.js';
import { type FileFailure, runTask, type TaskUpdate } from './tasks.js';

/** Where files go. */
export interface UploadPlace {
  readonly repo: RepoName;
  readonly branch: string;
  /** Empty: the root. */
  readonly folder: string;
}

/** Files that one question is about, and that one commit takes. */
const ASKED_FILES = 256;
const COMMIT_FILES = 1000;
const COMMIT_INLINE_BYTES = 32 * 1024 * 1024;
const SAMPLE_BYTES = 512;

/**
 * Uploads files and commits them: small texts in the commit itself, everything else as chunks. Files that
 * fail are told and left out; when it is cancelled, what was not committed yet is not.
 */
export async function uploadFiles(
  place: UploadPlace,
  picked: readonly PickedFile[],
): Promise<boolean> {
  const [only] = picked;
  if (only === undefined) return false;
  const title = picked.length === 1 ? only.path : plural(picked.length, 'file');
  const totalBytes = picked.reduce((sum, { file }) => sum + file.size, 0);
  const state = await runTask({ kind: 'upload', title, totalBytes }, (update, signal) =>
    upload(place, picked, title, { update, signal }),
  );
  return state === 'done' || state === 'failed';
}

interface Work {
  readonly update: (change: TaskUpdate) => void;
  readonly signal: AbortSignal;
}

async function upload(
  place: UploadPlace,
  picked: readonly PickedFile[],
  title: string,
  { update, signal }: Work,
): Promise<string> {
  const { repo, branch, folder } = place;
  const isBucket = repo.type === 'buckets';
  const below = folder === '' ? '' : `${folder}/`;
  const files = picked.map(({ path, file }) => ({ path: below + path, file }));
  const failures: FileFailure[] = [];
  const commits = createCommits(place, `Upload ${title}`, { update, signal });
  const sender = await createSender(repo);
  let doneBytes = 0;
  try {
    for (let start = 0; start < files.length; start += ASKED_FILES) {
      update({ step: 'asking how to send' });
      const asked = files.slice(start, start + ASKED_FILES);
      const { large, small } = await sorted(repo, branch, asked, signal);
      update({ step: large.length > 0 ? sender.how : 'reading' });
      const before = doneBytes;
      const onBytes = (bytes: number): void => update({ doneBytes: before + bytes });
      const { stored, failed } = await sender.send(large, { signal, onBytes });
      failures.push(...failed);
      const modified = new Map(asked.map(({ path, file }) => [path, file.lastModified]));
      for (const file of stored) {
        const line = isBucket ? bucketLine(file, modified.get(file.path)) : storedLine(file);
        await commits.add(line, 0);
      }
      for (const { path, file } of small) {
        try {
          await commits.add(inlineLine(path, await base64Of(file)), file.size);
        } catch (error) {
          if (signal.aborted || error instanceof ApiError) throw error;
          failures.push({ path, message: messageOf(error) });
        }
      }
      doneBytes = before + asked.reduce((sum, { file }) => sum + file.size, 0);
      update({ doneBytes, failures: [...failures] });
    }
    const committed = await commits.end();
    const where = isBucket ? 'added to the bucket' : `committed to ${branch}`;
    if (failures.length === 0) return where + sender.summary();
    return `${plural(committed, 'file')} ${isBucket ? 'added' : 'committed'}, ${plural(failures.length, 'file')} failed`;
  } finally {
    await sender.close();
  }
}

/** Which files go as chunks, and which as text of the commit; the repository may leave some out. */
async function sorted(
  repo: RepoName,
  branch: string,
  files: readonly PickedFile[],
  signal: AbortSignal,
): Promise<{ readonly large: readonly PickedFile[]; readonly small: readonly PickedFile[] }> {
  if (repo.type === 'buckets') return { large: files, small: [] };
  const samples = files.map(async ({ path, file }) => ({
    ...{ path, size: file.size },
    // What cannot be read is told of when it is sent.
    sample: await base64Of(file.slice(0, SAMPLE_BYTES)).catch(() => ''),
  }));
  const said = await askHowToSend(repo, branch, await Promise.all(samples), signal);
  const ways = new Map(said.map((way) => [way.path, way]));
  const wanted = files.filter(({ path }) => ways.get(path)?.shouldIgnore !== true);
  const isLarge = ({ path }: PickedFile): boolean => ways.get(path)?.uploadMode === 'lfs';
  return { large: wanted.filter(isLarge), small: wanted.filter((file) => !isLarge(file)) };
}

/** Collects lines, and commits them when they are many. */
function createCommits(
  { repo, branch }: UploadPlace,
  summary: string,
  { update, signal }: Work,
): { add(line: object, inlineBytes: number): Promise<void>; end(): Promise<number> } {
  let lines: string[] = [];
  let bytes = 0;
  let committed = 0;
  const flush = async (): Promise<void> => {
    if (lines.length === 0) return;
    signal.throwIfAborted();
    update({ step: 'committing' });
    if (repo.type === 'buckets') await addToBucket(repo, new Blob(lines).slice(1), signal);
    else {
      const header = JSON.stringify({ key: 'header', value: { summary, description: '' } });
      await commit(repo, branch, new Blob([header, ...lines]), signal);
    }
    committed += lines.length;
    lines = [];
    bytes = 0;
  };
  return {
    async add(line, inlineBytes) {
      lines.push(`\n${JSON.stringify(line)}`);
      bytes += inlineBytes;
      if (lines.length >= COMMIT_FILES || bytes >= COMMIT_INLINE_BYTES) await flush();
    },
    async end() {
      await flush();
      return committed;
    },
  };
}

const inlineLine = (path: string, content: string): object => ({
  key: 'file',
  value: { path, content, encoding: 'base64' },
});

const storedLine = ({ path, sha256, sizeBytes }: StoredFile): object => ({
  key: 'lfsFile',
  value: { path, algo: 'sha256', oid: sha256, size: sizeBytes },
});

/** @throws Error for a file that was sent whole: a bucket names files by what only the engine computes */
function bucketLine({ path, fileHash }: StoredFile, mtime: number | undefined): object {
  if (fileHash !== null) return { type: 'addFile', path, xetHash: fileHash, mtime };
  throw new Error('Files of buckets need a browser with WebAssembly and workers.');
}

function base64Of(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onerror = () => reject(new Error('The file cannot be read. Was it changed or removed?'));
    reader.onload = () => resolve(String(reader.result).replace(/^data:[^,]*,?/, ''));
    reader.readAsDataURL(blob);
  });
}
