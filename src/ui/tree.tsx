import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { messageOf } from './api.js';
import { DropZone } from './drop-zone.js';
import { agoText, bytesText } from './format.js';
import { useLoad } from './hooks.js';
import { describePaths, type Entry, listFolder } from './hub.js';
import { Empty, Problem, Waiting } from './parts.js';
import { RepoHead } from './repo-head.js';
import { linkTo, type RepoRoute } from './route.js';
import { mayWrite, type Session } from './session.js';

/** Entries of which the last commit is asked: looking back through history is work for the gateway. */
const MAX_DESCRIBED = 50;

export function TreeView({ at, session }: { at: RepoRoute; session: Session }): JSX.Element {
  const { repo, branch, path } = at;
  const [more, setMore] = useState<readonly Entry[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [moreError, setMoreError] = useState('');
  const first = useLoad(linkTo(at), async (signal) => {
    const page = await listFolder(repo, branch, path, null, signal);
    setMore([]);
    setCursor(page.next);
    return page.items;
  });
  const entries = [...(first.value ?? []), ...more];
  const isBucket = repo.type === 'buckets';
  const described = isBucket ? [] : entries.slice(0, MAX_DESCRIBED).map((entry) => entry.path);
  const commits = useLoad(described.map((each) => each).join('\n') + entries[0]?.oid, (signal) =>
    described.length === 0 ? Promise.resolve([]) : describePaths(repo, branch, described, signal),
  );
  const lastOf = new Map((commits.value ?? []).map((entry) => [entry.path, entry.lastCommit]));
  const showMore = async (): Promise<void> => {
    try {
      const page = await listFolder(repo, branch, path, cursor, new AbortController().signal);
      setMore([...more, ...page.items]);
      setCursor(page.next);
    } catch (error) {
      setMoreError(messageOf(error));
    }
  };
  return (
    <>
      <RepoHead at={at} />
      {first.error !== null && <Problem message={first.error} retry={first.reload} />}
      {first.value === null && first.error === null && <Waiting what="files" />}
      {first.value !== null && entries.length === 0 && (
        <Empty>
          <p>This folder is empty.</p>
        </Empty>
      )}
      {entries.length > 0 && (
        <table class="files">
          <caption class="for-screen-readers">Files in {path === '' ? repo.id : path}</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">Last change</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <Row key={entry.path} at={at} entry={{ ...entry, ...last(lastOf, entry) }} />
            ))}
          </tbody>
        </table>
      )}
      {cursor !== null && (
        <button type="button" onClick={showMore}>
          Show more
        </button>
      )}
      {moreError !== '' && <Problem message={moreError} />}
      {first.value !== null && mayWrite(session) && (
        <DropZone place={{ repo, branch, folder: path }} onCommitted={first.reload} />
      )}
      {!mayWrite(session) && (
        <p class="note">This token only reads: uploading needs one with scope write.</p>
      )}
    </>
  );
}

function last(
  commits: ReadonlyMap<string, Entry['lastCommit']>,
  { path }: Entry,
): Pick<Entry, 'lastCommit'> {
  const lastCommit = commits.get(path);
  return lastCommit === undefined ? {} : { lastCommit };
}

function Row({ at, entry }: { at: RepoRoute; entry: Entry }): JSX.Element {
  const { path, type, size, lastCommit, mtime, uploadedAt } = entry;
  const changed = lastCommit?.date ?? mtime ?? uploadedAt;
  const isFolder = type === 'directory';
  const name = path.split('/').at(-1);
  return (
    <tr>
      <th scope="row">
        <a class={type} href={linkTo({ ...at, view: isFolder ? 'tree' : 'file', path })}>
          {name}
          {isFolder && '/'}
        </a>
      </th>
      <td class="number">{isFolder ? '' : bytesText(size)}</td>
      <td class="note">
        {lastCommit !== undefined && <span class="title">{lastCommit.title} · </span>}
        {changed !== undefined && (
          <time dateTime={changed}>{agoText(Date.now() - Date.parse(changed))}</time>
        )}
      </td>
    </tr>
  );
}
