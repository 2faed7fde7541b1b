import { type FileHandle, open, realpath } from 'node:fs/promises';
import type { ChunkRun, KeptRun, Sink } from '../client/ports.js';
import { outputError } from './errno.js';
import { apart, LEAST_KEPT_BYTES, type PartLedger } from './kept-runs.js';
import { openLedger } from './part-ledger.js';
import { keptPartNames, sweepParts } from './part-name.js';

/** A sink for a dry run, which has files open until it is closed. */
export interface PlanSink extends Sink {
  close(): Promise<void>;
}

/**
 * What `fileSink` would go on with, read and left as it is: what is written to it goes nowhere.
 *
 * @param options `keepAs` and `anew` as of `fileSink`; `shown` is its path for messages
 * @throws OrbweaverError from its part, when what is there cannot be read
 */
export function planSink(
  path: string,
  options: { readonly keepAs: string; readonly anew: boolean; readonly shown?: string },
): PlanSink {
  const { shown = path } = options;
  const content = options.keepAs.slice(0, 16);
  let file: FileHandle | null = null;
  let ledger: PartLedger | null = null;
  let expectedBytes = 0;
  const close = async (): Promise<void> => {
    await Promise.all([file?.close(), ledger?.close()]);
    file = null;
    ledger = null;
  };
  return {
    name: shown,
    positional: true,
    async prepare(sizeBytes) {
      expectedBytes = Math.max(expectedBytes, sizeBytes);
    },
    async write() {},
    async commit() {},
    abort: close,
    close,
    part: {
      async claims() {
        if (options.anew) return [];
        const target = await realpath(path).catch(() => path);
        const left = await sweepParts(target, Date.now(), { removes: false });
        const found = left.find((each) => each.content === content);
        if (found === undefined) return [];
        try {
          file = await open(found.path, 'r');
          const opened = await openLedger(keptPartNames(target, content, found.id).ledger);
          ledger = opened.ledger;
          return apart(opened.runs);
        } catch {
          // Taken by another process meanwhile, or not to be read: a download would begin anew.
          await close();
          return [];
        }
      },
      read: (run) => (ledger as PartLedger).read(run),
      async readAt(into, offset) {
        const { bytesRead } = await (file as FileHandle)
          .read(into, 0, into.length, offset)
          .catch((error: unknown) => {
            throw outputError(error, shown);
          });
        into.fill(0, bytesRead);
      },
      note({ offset, lengths }: ChunkRun): KeptRun | null {
        if (ledger === null && expectedBytes < LEAST_KEPT_BYTES) return null;
        const sizeBytes = lengths.reduce((sum, length) => sum + length, 0);
        return { offset, sizeBytes, chunkCount: lengths.length, position: -1 };
      },
      async settle() {},
      forget() {},
      keptBytes: 0,
    },
  };
}
