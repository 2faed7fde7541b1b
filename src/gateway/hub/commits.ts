import { branchMoved, hubFailure } from './errors.js';
import type { Commit } from './formats.js';
import type { Hub, HubBase } from './hub.js';
import { OBJECT_ID } from './ids.js';
import { idOf, type RepoName } from './names.js';
import type { Repo } from './repos.js';
import { type Change, editTree } from './tree-edit.js';

/** What a commit is asked to be. */
export interface CommitRequest {
  readonly changes: readonly Change[];
  readonly title: string;
  readonly message: string;
  readonly author: string;
  /** The commit that the changes were made for; undefined: whatever the branch points to. */
  readonly parent?: string | undefined;
}

/** A branch, or what a pull request proposes. */
export const branchRef = (name: string): string =>
  /^refs\/(?:heads\/|pr\/\d+$)/.test(name) ? name : `refs/heads/${name}`;
export const tagRef = (name: string): string => `refs/tags/${name}`;
export const MAIN = 'refs/heads/main';

/** A commit by a branch, a tag or its own name. @throws OrbweaverError 404 `RevisionNotFound` */
export async function commitOf(
  hub: HubBase,
  repo: Repo,
  revision: string,
): Promise<{ readonly id: string; readonly commit: Commit }> {
  const { refs } = repo;
  if (revision === 'HEAD') return commitOf(hub, repo, 'main');
  const id =
    refOf(refs, branchRef(revision)) ??
    refOf(refs, tagRef(revision)) ??
    refOf(refs, revision) ??
    (OBJECT_ID.test(revision) ? revision : null);
  const commit = id === null ? null : await hub.objects.findCommit(id);
  if (id !== null && commit !== null && commit.repo === repo.uid) return { id, commit };
  throw revisionMissing(revision);
}

export function refOf(refs: Repo['refs'], ref: string): string | null {
  return Object.hasOwn(refs, ref) ? (refs[ref] as string) : null;
}

export function revisionMissing(revision: string): Error {
  return hubFailure(404, 'RevisionNotFound', `Invalid rev id: ${revision.slice(0, 200)}`);
}

/**
 * Makes a repository. Its first commit has `files`, which are none as a rule.
 * @throws OrbweaverError 409 when there is one
 */
export async function createRepo(
  hub: HubBase,
  name: RepoName,
  options: {
    readonly isPrivate: boolean;
    readonly author: string;
    readonly files?: () => Promise<readonly Change[]>;
  },
): Promise<void> {
  const { isPrivate, author, files = async () => [] } = options;
  const refsOf = async (repo: Repo): Promise<Repo['refs']> => {
    if (name.type === 'git') return {};
    return { [MAIN]: await firstCommit(hub, repo, author, await files()) };
  };
  await hub.repos.create(name, { isPrivate, refsOf });
}

async function firstCommit(
  hub: HubBase,
  repo: Repo,
  author: string,
  files: readonly Change[],
): Promise<string> {
  const tree = await editTree(hub.objects, null, files);
  return hub.objects.putCommit({
    repo: repo.uid,
    tree,
    parents: [],
    count: 1,
    author,
    title: 'initial commit',
    message: '',
    timeMs: hub.clock.unixMs(),
  });
}

/**
 * Makes a commit on a branch. Without a parent that was asked for, it is made on top of whatever others
 * have committed meanwhile: changes name paths, so that is what they would have been one after another.
 * Changes that change nothing make no commit.
 *
 * @throws OrbweaverError 412 when the branch is not where `parent` says, or moves all the time; 404
 */
export async function commitTo(
  hub: Hub,
  name: RepoName,
  branch: string,
  request: CommitRequest,
): Promise<string> {
  const ref = branchRef(branch);
  const { objects, clock } = hub;
  let id = '';
  await hub.repos.change(name, async (repo) => {
    const head = refOf(repo.refs, ref);
    if (head === null) throw notABranch(repo, branch);
    if (request.parent !== undefined && request.parent !== head) throw branchMoved();
    const before = await objects.commit(head);
    const tree = await editTree(objects, before.tree, request.changes);
    id = head;
    if (tree === before.tree) return repo;
    await checkStored(hub, request.changes);
    const { title, message, author } = request;
    id = await objects.putCommit({
      repo: repo.uid,
      tree,
      parents: [head],
      count: before.count + 1,
      ...{ author, title, message },
      timeMs: clock.unixMs(),
    });
    return { ...repo, refs: { ...repo.refs, [ref]: id } };
  });
  return id;
}

/** Files that are looked up together. */
const LOOKUPS = 4096;

/** What a long body named first may have been removed before its last line came. */
export async function checkStored(
  { services }: Pick<Hub, 'services'>,
  changes: readonly Change[],
): Promise<void> {
  const files = changes.flatMap((change) =>
    change.kind === 'put' && change.file.sizeBytes > 0
      ? [{ file: change.file.file, path: change.path }]
      : [],
  );
  for (let at = 0; at < files.length; at += LOOKUPS) {
    const some = files.slice(at, at + LOOKUPS);
    const there = await services.index.registered(some.map(({ file }) => file));
    const gone = some.find(({ file }) => !there.has(file.toString()));
    if (gone === undefined) continue;
    const path = gone.path.join('/');
    throw hubFailure(
      404,
      'EntryNotFound',
      `the file for ${path} is not stored any more: send it again`,
    );
  }
}

/** Has a branch begin anew with what it holds now. @throws OrbweaverError 404 */
export async function squash(
  hub: HubBase,
  name: RepoName,
  branch: string,
  title: string,
  author: string,
): Promise<string> {
  const ref = branchRef(branch);
  let id = '';
  await hub.repos.change(name, async (repo) => {
    const head = refOf(repo.refs, ref);
    if (head === null) throw notABranch(repo, branch);
    const { tree } = await hub.objects.commit(head);
    const timeMs = hub.clock.unixMs();
    const commit = {
      repo: repo.uid,
      tree,
      parents: [],
      count: 1,
      author,
      title,
      message: '',
      timeMs,
    };
    id = await hub.objects.putCommit(commit);
    return { ...repo, refs: { ...repo.refs, [ref]: id } };
  });
  return id;
}

/** Commits from `id` back along first parents. */
export async function* history(
  hub: HubBase,
  id: string,
): AsyncGenerator<{ readonly id: string; readonly commit: Commit }, void, undefined> {
  for (let next: string | undefined = id; next !== undefined; ) {
    const commit: Commit = await hub.objects.commit(next);
    yield { id: next, commit };
    next = commit.parents[0];
  }
}

/** Why nothing can be committed there. */
export function notABranch(repo: Repo, branch: string): Error {
  const isTag = refOf(repo.refs, tagRef(branch)) !== null || OBJECT_ID.test(branch);
  if (!isTag) return revisionMissing(branch);
  return hubFailure(
    400,
    'NotSupported',
    `"${branch}" of ${idOf(repo)} is no branch: commits go to branches`,
  );
}
