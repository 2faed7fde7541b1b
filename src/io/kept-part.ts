import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import type { ChunkRun, KeptRun } from '../client/ports.js';
import { apart, createLedger, openLedger, type PartLedger } from './part-ledger.js';
import { type KeptPartNames, keptPartNames, type LeftPart } from './part-name.js';

/** What a {@link KeptPart} is made with. */
export interface KeptPartOptions {
  /** 16 hexadecimal digits that stand for what the file will hold. */
  readonly content: string;
  /** Smaller files begin anew: going on with them would cost more than it saves. */
  readonly leastBytes: number;
}

/** Files below this size begin anew, bytes. */
export const LEAST_KEPT_BYTES: number = 4 * 1024 * 1024;

/**
 * The unfinished file of an output that a later run may go on with, and the list of what is written in
 * it. It belongs to this process by its name; see `part-name.ts`.
 */
export class KeptPart {
  readonly #content: string;
  readonly #leastBytes: number;
  #names: KeptPartNames | null = null;
  #old: { readonly ledger: PartLedger; readonly bytes: number } | null = null;
  #ledger: PartLedger | null = null;
  #notedBytes = 0;
  #expectedBytes = 0;
  #settled = true;
  #forgotten = false;
  #over = false;

  constructor({ content, leastBytes }: KeptPartOptions) {
    this.#content = content;
    this.#leastBytes = leastBytes;
  }

  /** Path of the file while it is unfinished. */
  pathFor(target: string): string {
    this.#names ??= keptPartNames(target, this.#content);
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
        this.#old = { ledger, bytes: claims.reduce((sum, run) => sum + run.sizeBytes, 0) };
        this.#settled = false;
        return { file, runs: claims };
      } catch {
        // Taken by another process, or not to be read: begin anew.
      }
    }
    return null;
  }

  /** At least so many bytes will be written. */
  expect(sizeBytes: number): void {
    this.#expectedBytes = Math.max(this.#expectedBytes, sizeBytes);
  }

  note(run: ChunkRun): KeptRun | null {
    if (this.#forgotten || this.#over || this.#names === null) return null;
    if (this.#ledger === null) {
      if (this.#settled && this.#expectedBytes < this.#leastBytes) return null;
      this.#ledger = createLedger(this.#settled ? this.#names.ledger : this.#names.draft);
    }
    if (!this.#ledger.isWhole) return null;
    const kept = this.#ledger.append(run);
    this.#notedBytes += kept.sizeBytes;
    return kept;
  }

  /** @throws OrbweaverError `STORAGE_FAILED` */
  read(run: KeptRun): Promise<ChunkRun> {
    const ledger = this.#settled ? this.#ledger : this.#old?.ledger;
    if (ledger === null || ledger === undefined) throw new TypeError('no run was noted');
    return ledger.read(run);
  }

  async settle(): Promise<void> {
    if (this.#settled || this.#names === null) return;
    const { ledger, draft } = this.#names;
    await this.#old?.ledger.close();
    this.#old = null;
    this.#settled = true;
    if (this.#ledger === null) await remove(ledger);
    // Where that fails, the old list stays, and what it says is looked at again.
    else await this.#ledger.moveTo(ledger).catch(() => remove(draft));
  }

  forget(): void {
    this.#forgotten = true;
  }

  /** Bytes that a later run will find. */
  get keptBytes(): number {
    if (this.#forgotten) return 0;
    return this.#settled ? this.#notedBytes : (this.#old?.bytes ?? 0);
  }

  /**
   * Nothing more is written to the file, which is closed.
   * @returns false when nothing of it is kept: then removing it is up to the caller
   */
  async leave(): Promise<boolean> {
    const names = this.#names;
    const keeps = this.keptBytes > 0;
    await this.#close();
    if (names === null || !keeps) {
      await this.#removeLists();
      return false;
    }
    if (!this.#settled) await remove(names.draft);
    await rename(names.part, names.freePart).catch(() => {});
    return true;
  }

  /** The file has its final name: the list is of no use any more. */
  async finish(): Promise<void> {
    await this.#close();
    await this.#removeLists();
  }

  async #close(): Promise<void> {
    this.#over = true;
    await Promise.all([this.#old?.ledger.close(), this.#ledger?.close()]);
  }

  async #removeLists(): Promise<void> {
    if (this.#names === null || (this.#ledger === null && this.#old === null)) return;
    await Promise.all([remove(this.#names.ledger), remove(this.#names.draft)]);
  }
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

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}
