import { failure } from '../failures.js';
import {
  branchRef,
  type CommitRequest,
  checkStored,
  commitOf,
  commitTo,
  notABranch,
  refOf,
} from './commits.js';
import { type Discussion, discussionsOf, type PullRequest, pullRef } from './discussions.js';
import type { Hub } from './hub.js';
import type { RepoName } from './names.js';
import type { Repo } from './repos.js';
import { diffTrees, sameFile } from './tree-diff.js';
import { type Change, editTree } from './tree-edit.js';
import { entryAt } from './tree-walk.js';

/** What a pull request is opened with. */
export interface NewPullRequest {
  readonly title: string;
  readonly text: string;
  readonly author: string;
  readonly status: 'open' | 'draft';
  readonly base: string;
  /** A commit that it begins at. @default what the base points to */
  readonly start?: string | undefined;
}

/** Opens a pull request without changes. @throws OrbweaverError 404 without such a branch or commit */
export async function openPullRequest(
  hub: Hub,
  name: RepoName,
  { title, text, author, status, base, start }: NewPullRequest,
): Promise<Discussion> {
  const repo = await hub.repos.get(name);
  const head = refOf(repo.refs, branchRef(base));
  if (head === null) throw notABranch(repo, base);
  const from = start === undefined ? head : (await commitOf(hub, repo, start)).id;
  const pull = { base, start: from };
  const opened = await discussionsOf(hub, repo.uid).add({ title, author, status, pull }, text);
  await hub.repos.change(name, (now) => ({
    ...now,
    refs: { ...now.refs, [pullRef(opened.num)]: from },
  }));
  return opened;
}

/** Opens a pull request of one commit. Without that commit there is no pull request. */
export async function proposeCommit(
  hub: Hub,
  name: RepoName,
  base: string,
  { parent: start, ...request }: CommitRequest,
): Promise<{ readonly num: number; readonly id: string }> {
  const { title, message, author } = request;
  const text = message === '' ? title : message;
  const facts = { title, text, author, status: 'open', base, start } as const;
  const { num } = await openPullRequest(hub, name, facts);
  try {
    return { num, id: await commitTo(hub, name, pullRef(num), request) };
  } catch (error) {
    const { uid } = await hub.repos.change(name, (repo) => {
      const { [pullRef(num)]: _gone, ...refs } = repo.refs;
      return { ...repo, refs };
    });
    await discussionsOf(hub, uid).remove(num);
    throw error;
  }
}

/** What a pull request would do to its base now. */
export interface MergePlan {
  readonly changes: readonly Change[];
  /** Paths that both have changed, each in another way. */
  readonly conflicts: readonly string[];
}

export async function planMerge(
  hub: Pick<Hub, 'objects'>,
  { start, base, head }: { readonly start: string; readonly base: string; readonly head: string },
): Promise<MergePlan> {
  const { objects } = hub;
  const [from, onto, to] = await Promise.all([start, base, head].map((id) => objects.commit(id)));
  const trees = [from, onto, to].map((commit) => (commit as { tree: string }).tree);
  const [startTree, baseTree, headTree] = trees as [string, string, string];
  const changes: Change[] = [];
  const conflicts: string[] = [];
  for await (const { path, before, after } of diffTrees(objects, startTree, headTree)) {
    const entry = await entryAt(objects, baseTree, path);
    const now = entry?.kind === 'file' ? entry : null;
    if (sameFile(now, after) && entry?.kind !== 'folder') continue;
    if (!sameFile(now, before)) conflicts.push(path.join('/'));
    changes.push(after === null ? { kind: 'delete', path } : { kind: 'put', path, file: after });
  }
  // What takes the place of a folder comes after what was in it.
  const deletions = changes.filter(({ kind }) => kind === 'delete');
  return { changes: [...deletions, ...changes.filter(({ kind }) => kind !== 'delete')], conflicts };
}

/**
 * Brings the changes of a pull request into its base, with both as parents of one commit. Returns that.
 * @throws OrbweaverError 409 when both have changed the same files
 */
export async function mergePullRequest(
  hub: Hub,
  name: RepoName,
  {
    num,
    title,
    pull,
  }: { readonly num: number; readonly title: string; readonly pull: PullRequest },
  author: string,
): Promise<string> {
  const ref = branchRef(pull.base);
  const { objects, clock } = hub;
  let id = '';
  await hub.repos.change(name, async (repo) => {
    const { base, head } = endsOf(repo, num, pull);
    const { changes, conflicts } = await planMerge(hub, { start: pull.start, base, head });
    if (conflicts.length > 0) {
      const paths = conflicts.slice(0, 5).join(', ');
      throw failure(
        409,
        'CONFLICT',
        `${pull.base} has other versions of files that #${num} changes: ${paths}`,
      );
    }
    const before = await objects.commit(base);
    await checkStored(hub, changes);
    id = await objects.putCommit({
      repo: repo.uid,
      tree: await editTree(objects, before.tree, changes),
      parents: [base, head],
      count: before.count + 1,
      ...{ author, title: `${title} (#${num})`, message: '', timeMs: clock.unixMs() },
    });
    return { ...repo, refs: { ...repo.refs, [ref]: id } };
  });
  return id;
}

/** Where the two branches of a pull request point. @throws OrbweaverError 404 */
export function endsOf(
  repo: Repo,
  num: number,
  pull: PullRequest,
): { readonly base: string; readonly head: string } {
  const base = refOf(repo.refs, branchRef(pull.base));
  if (base === null) throw notABranch(repo, pull.base);
  const head = refOf(repo.refs, pullRef(num));
  if (head === null) throw notABranch(repo, pullRef(num));
  return { base, head };
}
