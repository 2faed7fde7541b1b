import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { apiJson, messageOf } from './api.js';
import { keepSession, type Session, signedOutBecause } from './session.js';
import { useStore } from './store.js';

/** Finds out who has this token, and signs in. @throws ApiError */
export async function signInWith(token: string): Promise<void> {
  const known = await apiJson<Omit<Session, 'token'>>('ui/api/session', { token });
  keepSession({ ...known, token });
}

export function SignIn(): JSX.Element {
  const because = useStore(signedOutBecause);
  const [token, setToken] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const typed = token.trim();
    if (!/^[\x21-\x7e]+$/.test(typed)) {
      setError('A token has letters, digits and signs, and no spaces.');
      return;
    }
    setBusy(true);
    setError('');
    try {
      await signInWith(typed);
    } catch (failure) {
      setError(messageOf(failure));
      setBusy(false);
    }
  };
  return (
    <main id="main" tabIndex={-1} class="sign-in">
      <form onSubmit={submit}>
        <h1>Sign in</h1>
        <p>
          With a token of this gateway: one that it printed when it was first started, or one that{' '}
          <code>orbweaver token</code> made.
        </p>
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          name="token"
          autocomplete="current-password"
          spellcheck={false}
          required
          value={token}
          aria-describedby="token-note"
          aria-invalid={error !== ''}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={busy}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
        <p role="alert" class="error">
          {error || because}
        </p>
        <p id="token-note" class="note">
          It stays in this tab until you sign out or close it, and is sent to this gateway only.
        </p>
      </form>
    </main>
  );
}
