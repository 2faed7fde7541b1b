import type { JSX } from 'preact';
import { CommitsView } from './commits.js';
import { FileView } from './file.js';
import { Overview } from './overview.js';
import { ReposView } from './repos.js';
import { linkTo, type Route, route } from './route.js';
import { type Session, session, signOut } from './session.js';
import { SignIn } from './sign-in.js';
import { useStore } from './store.js';
import { announcement, tasks } from './tasks.js';
import { Transfers } from './transfers.js';
import { TreeView } from './tree.js';

export function App(): JSX.Element {
  const signedIn = useStore(session);
  const at = useStore(route);
  const said = useStore(announcement);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <Header at={at} signedIn={signedIn} />
      {signedIn === null ? (
        <SignIn />
      ) : (
        <main id="main" tabIndex={-1}>
          <View at={at} session={signedIn} />
        </main>
      )}
      <p class="for-screen-readers" aria-live="polite" role="status">
        {said}
      </p>
    </>
  );
}

function View({ at, session }: { at: Route; session: Session }): JSX.Element {
  if (at.view === 'overview') return <Overview session={session} />;
  if (at.view === 'transfers') return <Transfers session={session} />;
  if (at.view === 'repositories') return <ReposView session={session} />;
  const key = linkTo(at);
  if (at.view === 'file') return <FileView key={key} at={at} />;
  if (at.view === 'commits') return <CommitsView key={key} at={at} />;
  return <TreeView key={key} at={at} session={session} />;
}

function Header({ at, signedIn }: { at: Route; signedIn: Session | null }): JSX.Element {
  const running = useStore(tasks).filter(({ state }) => state === 'running').length;
  return (
    <header>
      <p class="name">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M16 2v28M3.9 9l24.2 14M3.9 23 28.1 9" />
          <path d="M16 6.5 24.2 11.200v9.600L16 25.5 7.800 20.800v-9.600z" />
          <circle cx="16" cy="16" r="3.5" />
        </svg>
        orbweaver
      </p>
      {signedIn !== null && (
        <>
          <nav aria-label="Views">
            <ul>
              <Tab to={{ view: 'overview' }} isHere={at.view === 'overview'} text="Overview" />
              {signedIn.hasRepositories && (
                <Tab
                  to={{ view: 'repositories' }}
                  isHere={'repo' in at || at.view === 'repositories'}
                  text="Repositories"
                />
              )}
              <Tab
                to={{ view: 'transfers' }}
                isHere={at.view === 'transfers'}
                text={running > 0 ? `Transfers (${running})` : 'Transfers'}
              />
            </ul>
          </nav>
          <div class="who">
            <span>
              <b>{signedIn.id || 'token'}</b> · {signedIn.scope}
              {signedIn.tenant === null ? '' : ` · tenant ${signedIn.tenant}`}
            </span>
            <button type="button" class="quiet" onClick={leave}>
              Sign out
            </button>
          </div>
        </>
      )}
    </header>
  );
}

function leave(): void {
  for (const task of tasks.get()) if (task.state === 'running') task.cancel();
  signOut();
}

function Tab({ to, isHere, text }: { to: Route; isHere: boolean; text: string }): JSX.Element {
  return (
    <li>
      <a href={linkTo(to)} aria-current={isHere ? 'page' : undefined}>
        {text}
      </a>
    </li>
  );
}
