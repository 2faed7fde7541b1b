import { render } from 'preact';
import { App } from './app.js';
import { followAddress } from './route.js';
import { keptToken, signOut } from './session.js';
import { signInWith } from './sign-in.js';

/** The operator's page. It talks to the gateway that it comes from, and to nothing else. */

async function start(): Promise<void> {
  followAddress();
  const token = keptToken();
  if (token !== null) await signInWith(token).catch(() => signOut());
  const root = document.getElementById('app');
  if (root !== null) render(<App />, root);
}

void start();
