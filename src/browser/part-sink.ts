import type { Sink, SinkPart } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { KeptRuns, LEAST_KEPT_BYTES } from '../io/web.js';
import type { PageFile, PageFiles } from '../workers/web.js';
import { told } from './outputs.js';
import type { StoredFile } from './own-storage.js';
import type { HeldPart, Parts } from './parts.js';

/** Where an unfinished file goes when it is whole. */
export interface PartTarget {
  readonly name: string;
  /** What tells it from others. */
  readonly key: string;
  /** Makes it appear. @throws what the browser throws */
  take(file: StoredFile): Promise<void>;
}

export interface PartSinkOptions {
  readonly parts: Parts;
  readonly files: PageFiles;
  /** What the file will hold; null: nothing is left for later. */
  readonly content: string | null;
  /** Begin anew, whatever an earlier run left. */
  readonly anew: boolean;
}

/**
 * A file of the page's own storage as a sink. Bytes go, in any order, to an unfinished file, which takes
 * the place of the target on `commit`, and stays for a later run when writing it fails.
 */
export function partSink(target: PartTarget, options: PartSinkOptions): Sink {
  const { parts, files, content, anew } = options;
  const { name } = target;
  const kept = content === null ? null : new KeptRuns({ leastBytes: LEAST_KEPT_BYTES });
  let taken: HeldPart | null = null;
  let opening: Promise<{ readonly held: HeldPart; readonly file: PageFile }> | null = null;
  let isOver = false;
  const open = (): NonNullable<typeof opening> => {
    if (isOver) {
      const text = `"${name}" expected an open output, got a finished one`;
      return Promise.reject(new OrbweaverError('CLOSED', text, { path: name }));
    }
    opening ??= told(name, async () => {
      const held = taken ?? (await parts.make(target.key, content ?? ''));
      try {
        const file = await files.open(held.file);
        kept?.begin(held.place, held.old);
        return { held, file };
      } catch (error) {
        await held.release({ keeps: held.old !== null });
        throw error;
      }
    });
    return opening;
  };
  const discard = async (): Promise<void> => {
    isOver = true;
    const opened = await opening?.catch(() => null);
    if (!opened) return;
    await opened.file.close().catch(() => {});
    const keeps = (await kept?.leave()) ?? false;
    await opened.held.release({ keeps });
  };
  const part: SinkPart | undefined =
    kept === null
      ? undefined
      : {
          async claims() {
            if (anew) return [];
            taken = await parts.take(target.key, content ?? '');
            if (taken === null) return [];
            if (isOver) await taken.release({ keeps: true });
            await open();
            return taken.old?.runs ?? [];
          },
          read: (run) => kept.read(run),
          async readAt(into, offset) {
            const { file } = await open();
            into.fill(0, await told(name, () => file.read(into, offset)));
          },
          note: (run) => kept.note(run),
          settle: () => kept.settle(),
          forget: () => kept.forget(),
          get keptBytes() {
            return kept.keptBytes;
          },
        };
  const write = async (pieces: readonly Uint8Array[], offset: number): Promise<void> => {
    const { file } = await open();
    await told(name, () => file.write(pieces, offset));
  };
  return {
    name,
    positional: true,
    part,
    async prepare(sizeBytes) {
      kept?.expect(sizeBytes);
      const { file } = await open();
      // What a browser says of its free space may be any number: it is asked for the room itself.
      await told(name, () => file.reserve(sizeBytes));
    },
    write: (bytes, offset) => write([bytes], offset),
    writeAll: write,
    async commit(sizeBytes) {
      const { held, file } = await open();
      isOver = true;
      try {
        // Zeros at its end may have been read back where a crash had cut it off.
        await told(name, () => file.truncate(sizeBytes));
        await told(name, () => file.close());
        await told(name, () => target.take(held.file));
      } catch (error) {
        await discard();
        throw error;
      }
      await kept?.finish();
      await held.release({ keeps: false });
    },
    async abort() {
      if (!isOver) await discard();
    },
  };
}
