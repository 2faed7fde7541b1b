import { messageOf } from './api.js';
import { type Engine, openEngine } from './engine.js';
import { bytesText } from './format.js';
import type { PickedFile } from './picked.js';
import { uploadWhole } from './plain-upload.js';
import type { RepoName } from './route.js';
import type { FileFailure } from './tasks.js';

/** What was sent: enough for the line of a commit. */
export interface StoredFile {
  readonly path: string;
  readonly sha256: string;
  /** Null: it was sent whole, and only the gateway knows it. */
  readonly fileHash: string | null;
  readonly sizeBytes: number;
}

/** Sends files, one way or the other. */
export interface Sender {
  /** In words, for the list of tasks. */
  readonly how: string;
  /** `onBytes` is told what of all these files is done. */
  send(
    files: readonly PickedFile[],
    options: { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
  ): Promise<{ readonly stored: readonly StoredFile[]; readonly failed: readonly FileFailure[] }>;
  /** What went over the network, in words; empty: nobody knows. */
  summary(): string;
  close(): Promise<void>;
}

/** By the engine where it runs, else whole. */
export async function createSender(repo: RepoName): Promise<Sender> {
  const engine = await openEngine();
  return engine === null ? plainSender(repo) : engineSender(engine);
}

function engineSender(engine: Engine): Sender {
  let sentBytes = 0;
  return {
    how: 'sending what is new',
    async send(files, { signal, onBytes }) {
      if (files.length === 0) return { stored: [], failed: [] };
      const inputs = files.map(({ path, file }) => ({ name: path, data: file }));
      const result = await engine.upload(inputs, {
        ...{ sha256: true, signal },
        onProgress: ({ doneBytes }) => onBytes(doneBytes),
      });
      sentBytes += result.xorbBytes;
      const stored = result.files.map(({ path, fileHash, sha256, sizeBytes }) => {
        if (sha256 === null) throw new Error(`The engine gave no SHA-256 of ${path}.`);
        return { path, fileHash, sha256, sizeBytes };
      });
      return { stored, failed: result.failed };
    },
    summary: () => `, ${bytesText(sentBytes)} sent`,
    close: () => engine.close(),
  };
}

function plainSender(repo: RepoName): Sender {
  return {
    how: 'sending whole files',
    async send(files, { signal, onBytes }) {
      const stored: StoredFile[] = [];
      const failed: FileFailure[] = [];
      let done = 0;
      for (const { path, file } of files) {
        const before = done;
        try {
          const sha256 = await uploadWhole(repo, file, {
            ...{ signal, onBytes: (bytes: number) => onBytes(before + bytes) },
          });
          stored.push({ path, sha256, fileHash: null, sizeBytes: file.size });
        } catch (error) {
          if (signal.aborted) throw error;
          failed.push({ path, message: messageOf(error) });
        }
        done = before + file.size;
        onBytes(done);
      }
      return { stored, failed };
    },
    summary: () => '',
    close: async () => undefined,
  };
}
