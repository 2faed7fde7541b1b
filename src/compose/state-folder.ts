import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where unfinished transfers of this user are remembered when nothing else is said:
 * `$XDG_STATE_HOME/orbweaver/transfers`, else `~/.local/state/orbweaver/transfers`.
 *
 * @example
 * const client = await createClient({ endpoint, stateFolder: defaultJournalFolder(process.env) });
 */
export function defaultJournalFolder(env: Readonly<Record<string, string | undefined>>): string {
  const base = env['XDG_STATE_HOME'];
  // The specification says that a relative path is to be ignored.
  const state = base?.startsWith('/') ? base : join(env['HOME'] || homedir(), '.local', 'state');
  return join(state, 'orbweaver', 'transfers');
}
