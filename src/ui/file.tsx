import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { messageOf } from './api.js';
import { downloadFile } from './downloads.js';
import { bytesText, countText, dateText, shortHash } from './format.js';
import { useLoad } from './hooks.js';
import { describePaths, type Entry, listCommits } from './hub.js';
import { Hash, Problem, Waiting } from './parts.js';
import { RepoHead } from './repo-head.js';
import { linkTo, type RepoRoute } from './route.js';
import { TaskList } from './task-list.js';

export function FileView({ at }: { at: RepoRoute }): JSX.Element {
  const { repo, branch, path } = at;
  const { value, error, reload } = useLoad(linkTo(at), async (signal) => {
    const [entry] = await describePaths(repo, branch, [path], signal);
    if (entry === undefined) throw new Error(`There is no file ${path}.`);
    return entry;
  });
  return (
    <>
      <RepoHead at={at} />
      {error !== null && <Problem message={error} retry={reload} />}
      {value === null && error === null && <Waiting what="the file" />}
      {value !== null && <Facts at={at} entry={value} />}
      {value !== null && <Versions at={at} entry={value} />}
    </>
  );
}

function Facts({ at, entry }: { at: RepoRoute; entry: Entry }): JSX.Element {
  const { size, lfs, xetHash, oid, lastCommit, uploadedAt } = entry;
  return (
    <section aria-label="About this file" class="card">
      <dl class="facts">
        <dt>Size</dt>
        <dd>
          {bytesText(size)} <small>({countText(size)} bytes)</small>
        </dd>
        {xetHash !== undefined && (
          <>
            <dt>Xet hash</dt>
            <dd>
              <Hash hash={xetHash} label="Xet hash" />
            </dd>
          </>
        )}
        {at.repo.type !== 'buckets' && (
          <>
            <dt>{lfs === undefined ? 'Git blob' : 'SHA-256'}</dt>
            <dd>
              <Hash
                hash={lfs?.oid ?? oid}
                label={lfs === undefined ? 'name of the blob' : 'SHA-256'}
              />
            </dd>
          </>
        )}
        {uploadedAt !== undefined && (
          <>
            <dt>Uploaded</dt>
            <dd>{dateText(uploadedAt)}</dd>
          </>
        )}
        {lastCommit !== undefined && (
          <>
            <dt>Last change</dt>
            <dd>
              {lastCommit.title} <small>{dateText(lastCommit.date)}</small>
            </dd>
          </>
        )}
      </dl>
      <p class="buttons">
        <button
          type="button"
          class="primary"
          onClick={() => void downloadFile(at.repo, at.branch, entry)}
        >
          Download
        </button>
      </p>
      <TaskList kind="download" most={1} />
    </section>
  );
}

/** A version of the file, and the commit that made it. */
type Version = Entry & { readonly lastCommit: NonNullable<Entry['lastCommit']> };

/** Versions that are looked for at a time: each takes the gateway a walk through history. */
const AT_A_TIME = 5;

function Versions({ at, entry }: { at: RepoRoute; entry: Entry }): JSX.Element | null {
  const { repo, path } = at;
  const [older, setOlder] = useState<readonly Version[]>([]);
  const [isAll, setIsAll] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  if (entry.lastCommit === undefined) return null;
  const versions = [entry as Version, ...older];
  const look = async (): Promise<void> => {
    setBusy(true);
    setError('');
    try {
      const found = await olderVersions(at, versions.at(-1) as Version);
      setOlder([...older, ...found]);
      setIsAll(found.length < AT_A_TIME);
    } catch (failure) {
      setError(messageOf(failure));
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="versions">
      <h2 id="versions">Versions</h2>
      <ol class="rows">
        {versions.map(({ lastCommit, size }) => (
          <li key={lastCommit.id}>
            <a href={linkTo({ view: 'file', repo, branch: lastCommit.id, path })}>
              {lastCommit.title}
            </a>
            <span class="note">
              {bytesText(size)} ·{' '}
              <time dateTime={lastCommit.date}>{dateText(lastCommit.date)}</time> ·{' '}
              <code>{shortHash(lastCommit.id)}</code>
            </span>
          </li>
        ))}
      </ol>
      {isAll ? (
        <p class="note">There are no older ones.</p>
      ) : (
        <button type="button" disabled={busy} onClick={look}>
          {busy ? 'Looking…' : 'Look for older ones'}
        </button>
      )}
      {error !== '' && <Problem message={error} />}
    </section>
  );
}

/** Goes back from the commit that made a version: the one before it has the version before. */
async function olderVersions({ repo, path }: RepoRoute, from: Version): Promise<Version[]> {
  const { signal } = new AbortController();
  const found: Version[] = [];
  let { id } = from.lastCommit;
  while (found.length < AT_A_TIME) {
    const { items } = await listCommits(repo, id, null, signal);
    const before = items[1];
    if (before === undefined) break;
    const [entry] = await describePaths(repo, before.id, [path], signal);
    if (entry?.lastCommit === undefined) break;
    found.push({ ...entry, lastCommit: entry.lastCommit });
    id = entry.lastCommit.id;
  }
  return found;
}
