import type { JSX } from 'preact';
import { dateText, shortHash } from './format.js';
import { useLoad } from './hooks.js';
import { type Commit, listCommits } from './hub.js';
import { Problem, Waiting } from './parts.js';
import { RepoHead } from './repo-head.js';
import { linkTo, type RepoRoute } from './route.js';

export function CommitsView({ at }: { at: RepoRoute }): JSX.Element {
  const { repo, branch } = at;
  const { value, error, reload } = useLoad(linkTo(at), (signal) =>
    listCommits(repo, branch, null, signal),
  );
  return (
    <>
      <RepoHead at={at} />
      {error !== null && <Problem message={error} retry={reload} />}
      {value === null && error === null && <Waiting what="commits" />}
      {value !== null && (
        <ul class="rows">
          {value.items.map((commit) => (
            <CommitRow key={commit.id} at={at} commit={commit} />
          ))}
        </ul>
      )}
      {value?.next != null && <p class="note">Older commits are not listed here.</p>}
    </>
  );
}

function CommitRow({ at, commit }: { at: RepoRoute; commit: Commit }): JSX.Element {
  const { id, title, date, authors } = commit;
  return (
    <li>
      <a href={linkTo({ ...at, view: 'tree', branch: id, path: '' })}>{title}</a>
      <span class="note">
        {authors[0]?.user} · <time dateTime={date}>{dateText(date)}</time> ·{' '}
        <code>{shortHash(id)}</code>
      </span>
    </li>
  );
}
