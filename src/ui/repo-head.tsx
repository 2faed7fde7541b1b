import type { JSX } from 'preact';
import { useLoad } from './hooks.js';
import { listRefs } from './hub.js';
import { ViewTitle } from './parts.js';
import { goTo, linkTo, type RepoRoute } from './route.js';

/** Which repository, branch and folder is looked at, and the way to others. */
export function RepoHead({ at }: { at: RepoRoute }): JSX.Element {
  const { repo, branch, path, view } = at;
  const refs = useLoad(`refs ${repo.type}/${repo.id}`, (signal) => listRefs(repo, signal));
  const names = (list: readonly { readonly name: string }[] | undefined): string[] =>
    (list ?? []).map(({ name }) => name);
  const branches = names(refs.value?.branches);
  const tags = names(refs.value?.tags);
  const isOther = !branches.includes(branch) && !tags.includes(branch);
  const parts = path === '' ? [] : path.split('/');
  const last = parts.at(-1) ?? repo.id;
  return (
    <>
      <nav aria-label="Path" class="crumbs">
        <ol>
          <li>
            <a href={linkTo({ view: 'repositories' })}>{repo.type}</a>
          </li>
          {(path !== '' || view !== 'tree') && (
            <li>
              <a href={linkTo({ view: 'tree', repo, branch, path: '' })}>{repo.id}</a>
            </li>
          )}
          {parts.slice(0, -1).map((part, i) => (
            <li key={parts.slice(0, i + 1).join('/')}>
              <a
                href={linkTo({ view: 'tree', repo, branch, path: parts.slice(0, i + 1).join('/') })}
              >
                {part}
              </a>
            </li>
          ))}
        </ol>
      </nav>
      <div class="repo-head">
        <ViewTitle title={last}>{view === 'commits' ? `Commits of ${repo.id}` : last}</ViewTitle>
        {repo.type !== 'buckets' && (
          <span>
            <label for="branch">Branch</label>
            <select
              id="branch"
              value={branch}
              onChange={(event) => goTo({ ...at, branch: event.currentTarget.value })}
            >
              {isOther && <option value={branch}>{branch.slice(0, 20)}</option>}
              {branches.map((name) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
              {tags.length > 0 && (
                <optgroup label="Tags">
                  {tags.map((name) => (
                    <option key={name} value={name}>
                      {name}
                    </option>
                  ))}
                </optgroup>
              )}
            </select>
          </span>
        )}
        {view !== 'file' && repo.type !== 'buckets' && (
          <a
            class="button"
            href={linkTo({ view: view === 'commits' ? 'tree' : 'commits', repo, branch, path: '' })}
          >
            {view === 'commits' ? 'Files' : 'Commits'}
          </a>
        )}
      </div>
    </>
  );
}
