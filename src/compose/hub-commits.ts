import {
  type CommitOperation,
  checkRepoPath,
  commit,
  pullRequestBranch,
  repoOf,
} from '../hub/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import type { HubUploading } from './hub-tally.js';
import type { HubCopy, HubMadeCommit } from './hub-types.js';

/** Bytes that a commit carries itself: they are in memory, and one request. */
const INLINE_BYTES = 32 * 1024 * 1024;

export type InlineOperation = Extract<CommitOperation, { readonly operation: 'inline' }>;

/** What is deleted before the files come, and after them. */
export interface Deletions {
  readonly first: readonly string[];
  readonly last: readonly string[];
}

/**
 * A file counts after a deletion, so what makes room for one goes first: its folder, a file where its folder
 * is to be. A deletion of the file itself is none. All others wait until every file is there.
 */
export function splitDeletions(
  files: readonly { readonly path: string }[],
  deletePaths: readonly string[],
): Deletions {
  if (deletePaths.length === 0) return { first: [], last: [] };
  const paths = new Set(files.map(({ path }) => path));
  const folders = new Set([...paths].flatMap(foldersOf));
  const left = deletePaths.filter((path) => !paths.has(path));
  const isFirst = (path: string): boolean => {
    const bare = path.replace(/\/+$/, '');
    return folders.has(bare) || paths.has(bare) || foldersOf(bare).some((each) => paths.has(each));
  };
  return { first: left.filter(isFirst), last: left.filter((path) => !isFirst(path)) };
}

/** The folders on the way to a path. */
function foldersOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('/'));
}

/** @throws TypeError for something else than a file hash; OrbweaverError for a path that no repository has */
export function copyOf({ path, fileHash, from }: HubCopy): CommitOperation {
  if (!/^[0-9a-f]{64}$/.test(fileHash)) {
    throw new TypeError(`"fileHash" of "${path}" expected 64 hexadecimal digits`);
  }
  return { operation: 'copy', path: checkRepoPath(path), fileHash, from: repoOf(from) };
}

/** What of an upload its commits are made from. */
export type Committing = Pick<HubUploading, 'at' | 'options' | 'signal'> & {
  readonly parts: Pick<HubUploading['parts'], 'http'>;
};

/** The commits of one upload, which follow each other on one branch. */
export class HubCommits {
  readonly made: HubMadeCommit[] = [];
  readonly deletedPaths: string[] = [];
  readonly #uploading: Committing;
  readonly #cleared: readonly string[];
  /** Not made yet. */
  #copies: readonly CommitOperation[];
  #head: string | undefined;
  /** Branch of the pull request that this upload has opened: its further commits go there. */
  #proposal: string | null = null;

  /**
   * @param cleared paths that are deleted before the first file comes
   * @param copies go into the first commit
   */
  constructor(
    uploading: Committing,
    cleared: readonly string[],
    copies: readonly CommitOperation[],
  ) {
    this.#uploading = uploading;
    this.#cleared = cleared;
    this.#copies = copies;
    this.#head = uploading.options.parentCommit;
  }

  /** False for a file whose folder is deleted before it comes: it is needed again, whatever was there. */
  stays(path: string): boolean {
    return !this.#cleared.some((gone) => gone.endsWith('/') && path.startsWith(gone));
  }

  /** The branch that is committed to; null: that of a pull request that is opened by the commit. */
  branch(): string | null {
    if (this.#proposal !== null) return this.#proposal;
    return this.#uploading.options.createPr === true ? null : this.#uploading.at.revision;
  }

  /** Commits operations, inline files as many at a time as a request should carry, and deletions. */
  async commit(
    stored: readonly CommitOperation[],
    deletions: Deletions,
    inlined: AsyncIterable<InlineOperation> = none(),
  ): Promise<void> {
    const before = this.#deletionsOf(deletions.first);
    let open: CommitOperation[] = [...before, ...stored, ...this.#copies];
    this.#copies = [];
    let bytes = 0;
    for await (const operation of inlined) {
      if (bytes > 0 && bytes + operation.bytes.length > INLINE_BYTES) {
        await this.#commitAll(open);
        open = [];
        bytes = 0;
      }
      open.push(operation);
      bytes += operation.bytes.length;
    }
    await this.#commitAll([...open, ...this.#deletionsOf(deletions.last)]);
  }

  #deletionsOf(paths: readonly string[]): CommitOperation[] {
    this.deletedPaths.push(...paths);
    return paths.map((path) => {
      return { operation: 'delete', path: path.replace(/\/+$/, ''), isFolder: path.endsWith('/') };
    });
  }

  async #commitAll(operations: readonly CommitOperation[]): Promise<void> {
    const { title, description, createPr, dryRun } = this.#uploading.options;
    if (operations.length === 0 || dryRun === true) return;
    const { repo, revision } = this.#uploading.at;
    const made = await commit(this.#uploading.parts.http, repo, operations, {
      revision: this.#proposal ?? revision,
      title: title ?? titleOf(operations),
      description,
      createPr: this.#proposal === null && createPr,
      parentCommit: this.#head,
      clock: SYSTEM_CLOCK,
      random: systemRandom,
      signal: this.#uploading.signal,
    });
    // The next one of this upload is held to what this one has made.
    if (this.#head !== undefined) this.#head = made.oid ?? undefined;
    if (made.pullRequestUrl !== null) this.#proposal ??= pullRequestBranch(made.pullRequestUrl);
    this.made.push(made);
  }
}

function titleOf(operations: readonly CommitOperation[]): string {
  const [first] = operations;
  const added = operations.filter(({ operation }) => operation !== 'delete').length;
  if (operations.length === 1 && first !== undefined) {
    return `${first.operation === 'delete' ? 'Delete' : 'Upload'} ${first.path}`;
  }
  if (added === 0) return `Delete ${operations.length} files`;
  return `Upload ${added} files`;
}

async function* none(): AsyncGenerator<never, void> {}
