import { createStore, type Store } from './store.js';

/** Who is signed in. The token is in this tab's memory and session storage only, and never in an address. */
export interface Session {
  readonly token: string;
  readonly id: string;
  readonly scope: 'read' | 'append' | 'write' | 'admin';
  readonly tenant: string | null;
  readonly hasRepositories: boolean;
  /** When the gateway was started, milliseconds since 1970. */
  readonly startedMs: number;
}

const KEY = 'orbweaver.token';

export const session: Store<Session | null> = createStore<Session | null>(null);

/** Why somebody has to sign in again; empty: they never did. */
export const signedOutBecause: Store<string> = createStore('');

export function keptToken(): string | null {
  return sessionStorage.getItem(KEY);
}

export function keepSession(value: Session): void {
  sessionStorage.setItem(KEY, value.token);
  signedOutBecause.set('');
  session.set(value);
}

export function signOut(because = ''): void {
  sessionStorage.removeItem(KEY);
  signedOutBecause.set(because);
  session.set(null);
}

export function mayWrite({ scope }: Session): boolean {
  return scope === 'write' || scope === 'admin';
}
