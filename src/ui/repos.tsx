import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { messageOf } from './api.js';
import { agoText, bytesText, plural } from './format.js';
import { useLoad } from './hooks.js';
import {
  createRepo,
  type GitRepo,
  listGitRepos,
  listRepos,
  listSizes,
  type RepoInfo,
  type SizedRepo,
} from './hub.js';
import { Empty, Problem, ViewTitle, Waiting } from './parts.js';
import { goTo, linkTo, REPO_TYPES, type RepoName } from './route.js';
import { mayWrite, type Session } from './session.js';

export function ReposView({ session }: { session: Session }): JSX.Element {
  const { value: named, error, reload } = useLoad('repositories', listRepos);
  // Names come at once; sizes, and with them buckets, when the gateway has read the folders.
  const sizes = useLoad('sizes', listSizes);
  const git = useLoad('git repositories', listGitRepos);
  const value = named === null ? null : joined(named, sizes.value ?? []);
  // What is asked at once mostly fails at once: it is told once, and all of it is asked for again.
  const problem = error ?? sizes.error ?? git.error;
  const retry = (): void => {
    if (error !== null) reload();
    if (sizes.error !== null) sizes.reload();
    if (git.error !== null) git.reload();
  };
  const [search, setSearch] = useState('');
  const wanted = search.trim().toLowerCase();
  const isWanted = ({ id }: { readonly id: string }): boolean => id.toLowerCase().includes(wanted);
  const found = value?.filter(isWanted) ?? [];
  const foundGit = git.value?.filter(isWanted) ?? [];
  const gitCount = git.value?.length ?? 0;
  return (
    <>
      <ViewTitle title="Repositories">Repositories</ViewTitle>
      {problem !== null && <Problem message={problem} retry={retry} />}
      {value === null && error === null && <Waiting what="repositories" />}
      {value !== null && value.length + gitCount > 0 && (
        <p class="search">
          <label for="search">Find</label>
          <input
            id="search"
            type="search"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
          <span class="note" role="status">
            {plural(found.length + foundGit.length, 'repository', 'repositories')}
          </span>
        </p>
      )}
      {value?.length === 0 && sizes.value !== null && git.value !== null && gitCount === 0 && (
        <Empty>
          <p>There is no repository yet.</p>
          <p class="note">
            {mayWrite(session)
              ? 'Make one below, or let a client of the Hub make one.'
              : 'Somebody with a token that writes can make one.'}
          </p>
        </Empty>
      )}
      {REPO_TYPES.map((type) => (
        <RepoList key={type} type={type} repos={found.filter((repo) => repo.type === type)} />
      ))}
      <GitList repos={foundGit} />
      {mayWrite(session) && <NewRepo />}
    </>
  );
}

type Listed = RepoInfo & { readonly sizeBytes: number | null };

/** What is named, with sizes as far as they are known, and buckets. */
function joined(named: readonly RepoInfo[], sized: readonly SizedRepo[]): readonly Listed[] {
  const key = ({ type, id }: RepoName): string => `${type}/${id}`;
  const sizes = new Map(sized.map((repo) => [key(repo), repo.sizeBytes]));
  return [
    ...named.map((repo) => ({ ...repo, sizeBytes: sizes.get(key(repo)) ?? null })),
    ...sized.filter(({ type }) => type === 'buckets'),
  ];
}

function RepoList({ type, repos }: { type: string; repos: readonly Listed[] }): JSX.Element | null {
  if (repos.length === 0) return null;
  return (
    <section aria-labelledby={`type-${type}`}>
      <h2 id={`type-${type}`}>{type.charAt(0).toUpperCase() + type.slice(1)}</h2>
      <ul class="rows">
        {repos.map((repo) => (
          <li key={repo.id}>
            <a href={linkTo({ view: 'tree', repo, branch: 'main', path: '' })}>{repo.id}</a>
            <span class="note">
              {repo.sizeBytes === null ? '' : `${bytesText(repo.sizeBytes)} · `}
              {repo.isPrivate ? 'private · ' : ''}changed{' '}
              {agoText(Date.now() - Date.parse(repo.lastModified))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** Their folders and commits are elsewhere: there is nothing here to open. */
function GitList({ repos }: { repos: readonly GitRepo[] }): JSX.Element | null {
  if (repos.length === 0) return null;
  return (
    <section aria-labelledby="type-git">
      <h2 id="type-git">Git LFS</h2>
      <p class="note">Repositories of git elsewhere, which keep their large files here.</p>
      <ul class="rows">
        {repos.map(({ id, fileCount, sizeBytes }) => (
          <li key={id}>
            <span>{id}</span>
            <span class="note">
              {plural(fileCount, 'file', 'files')} · {bytesText(sizeBytes)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function NewRepo(): JSX.Element {
  const [type, setType] = useState<RepoName['type']>('models');
  const [id, setId] = useState('');
  const [error, setError] = useState('');
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const repo = { type, id: id.trim() };
    if (!/^[^/\s]+\/[^/\s]+$/.test(repo.id)) {
      setError('A repository is named by two words with a slash between them: team/name.');
      return;
    }
    try {
      await createRepo(repo);
      goTo({ view: 'tree', repo, branch: 'main', path: '' });
    } catch (failure) {
      setError(messageOf(failure));
    }
  };
  return (
    <section aria-labelledby="new-repository">
      <h2 id="new-repository">New repository</h2>
      <form class="inline" onSubmit={submit}>
        <span>
          <label for="new-type">Type</label>
          <select
            id="new-type"
            value={type}
            onChange={(event) => setType(event.currentTarget.value as RepoName['type'])}
          >
            {REPO_TYPES.map((each) => (
              <option key={each} value={each}>
                {each.slice(0, -1)}
              </option>
            ))}
          </select>
        </span>
        <span>
          <label for="new-name">Name</label>
          <input
            id="new-name"
            placeholder="team/name"
            value={id}
            aria-describedby="new-error"
            aria-invalid={error !== ''}
            onInput={(event) => setId(event.currentTarget.value)}
          />
        </span>
        <button type="submit">Make it</button>
        <p id="new-error" role="alert" class="error">
          {error}
        </p>
      </form>
    </section>
  );
}
