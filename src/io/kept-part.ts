import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import type { ChunkRun, KeptRun } from '../client/ports.js';
import { apart, KeptRuns, type LedgerPlace } from './kept-runs.js';
import { createLedger, type FileLedger, openLedger } from './part-ledger.js';
import { type KeptPartNames, keptPartNames, type LeftPart } from './part-name.js';

/** What a {@link KeptPart} is made with. */
export interface KeptPartOptions {
  /** 16 hexadecimal digits that stand for what the file will hold. */
  readonly content: string;
  /** Smaller files begin anew: going on with them would cost more than it saves. */
  readonly leastBytes: number;
}

/**
 * The unfinished file of an output that a later run may go on with, and the list of what is written in
 * it. It belongs to this process by its name; see `part-name.ts`.
 */
export class KeptPart {
  readonly #content: string;
  readonly #runs: KeptRuns;
  #names: KeptPartNames | null = null;

  constructor({ content, leastBytes }: KeptPartOptions) {
    this.#content = content;
    this.#runs = new KeptRuns({ leastBytes });
  }

  /** Path of the file while it is unfinished. */
  pathFor(target: string): string {
    if (this.#names === null) {
      this.#names = keptPartNames(target, this.#content);
      this.#runs.begin(placeOf(this.#names), null);
    }
    return this.#names.part;
  }

  /** Makes one of these parts its own. Null: there is none that can be gone on with. */
  async takeOver(
    target: string,
    left: readonly LeftPart[],
  ): Promise<{ readonly file: FileHandle; readonly runs: readonly KeptRun[] } | null> {
    for (const { path, id } of left) {
      const names = keptPartNames(target, this.#content, id);
      try {
        // Of two processes that try, one finds that the file is gone.
        await rename(path, names.part);
        const file = await openOwn(names.part);
        if (file === null) continue;
        const { ledger, runs } = await openLedger(names.ledger);
        const claims = apart(runs);
        this.#names = names;
        this.#runs.begin(placeOf(names), { ledger, runs: claims });
        return { file, runs: claims };
      } catch {
        // Taken by another process, or not to be read: begin anew.
      }
    }
    return null;
  }

  /** At least so many bytes will be written. */
  expect(sizeBytes: number): void {
    this.#runs.expect(sizeBytes);
  }

  note(run: ChunkRun): KeptRun | null {
    return this.#runs.note(run);
  }

  /** @throws OrbweaverError `STORAGE_FAILED` */
  read(run: KeptRun): Promise<ChunkRun> {
    return this.#runs.read(run);
  }

  settle(): Promise<void> {
    return this.#runs.settle();
  }

  forget(): void {
    this.#runs.forget();
  }

  /** Bytes that a later run will find. */
  get keptBytes(): number {
    return this.#runs.keptBytes;
  }

  /**
   * Nothing more is written to the file, which is closed.
   * @returns false when nothing of it is kept: then removing it is up to the caller
   */
  async leave(): Promise<boolean> {
    const names = this.#names;
    if (!(await this.#runs.leave()) || names === null) return false;
    await rename(names.part, names.freePart).catch(() => {});
    return true;
  }

  /** The file has its final name: the list is of no use any more. */
  finish(): Promise<void> {
    return this.#runs.finish();
  }
}

function placeOf({ ledger, draft }: KeptPartNames): LedgerPlace {
  const paths = { list: ledger, draft };
  return {
    create: (as) => createLedger(paths[as]),
    replace: (list) => (list as FileLedger).moveTo(ledger),
    async remove(...names) {
      await Promise.all(names.map((name) => unlink(paths[name]).catch(() => {})));
    },
  };
}

/** Null: a link, a file with two names or of another user, which somebody may have put there. */
async function openOwn(path: string): Promise<FileHandle | null> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  const { nlink, uid } = await file.stat();
  if ((await file.stat()).isFile() && nlink === 1 && uid === (process.getuid?.() ?? uid))
    return file;
  await file.close();
  return null;
}
