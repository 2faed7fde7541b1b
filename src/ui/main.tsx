import { render } from 'preact';
import { App } from './app.js';
import { followAddress } from './route.js';
import { keptToken, signOut } from './session.js';
import { signInWith } from './sign-in.js';
import { tasks } from './tasks.js';

/** The operator's page. It talks to the gateway that it comes from, and to nothing else. */

/** Leaving ends what runs, and a file that is dropped beside its place would be opened in place of the page. */
function guardPage(): void {
  addEventListener('beforeunload', (event) => {
    if (tasks.get().some(({ state }) => state === 'running')) event.preventDefault();
  });
  for (const name of ['dragover', 'drop']) {
    addEventListener(name, (event) => event.preventDefault());
  }
}

async function start(): Promise<void> {
  followAddress();
  guardPage();
  const token = keptToken();
  if (token !== null) await signInWith(token).catch(() => signOut());
  const root = document.getElementById('app');
  if (root !== null) render(<App />, root);
}

void start();
