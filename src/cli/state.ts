import { resolve } from 'node:path';
import type { OrbweaverError } from '../errors.js';
import { defaultJournalFolder } from '../index.js';
import { type OptionSpec, type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { printable } from './text.js';

/** Options of commands that remember what they did not finish. */
export const STATE: readonly OptionSpec[] = [
  {
    name: 'state-dir',
    value: 'DIR',
    help: 'where unfinished transfers are remembered',
    fallback: '$XDG_STATE_HOME/orbweaver',
  },
  { name: 'no-resume', help: 'begin anew, and remember nothing of this transfer' },
];

/** The folder of unfinished transfers; undefined: there is none. @throws USAGE */
export function stateFolderOf(args: ParsedArgs, context: CliContext): string | undefined {
  const given = args.text('state-dir');
  if (given === '') throw usage('--state-dir expected a folder, got ""');
  if (args.flag('no-resume')) return undefined;
  if (given !== undefined) return resolve(context.cwd, given);
  const { XDG_STATE_HOME, HOME, USERPROFILE } = context.env;
  const hasHome = XDG_STATE_HOME?.startsWith('/') || HOME || USERPROFILE;
  return hasHome ? defaultJournalFolder(context.env) : undefined;
}

/** What to say when the folder is of no use. */
export function stateWarning({ message }: OrbweaverError): string {
  return `this transfer cannot be resumed: ${printable(message)}; --state-dir DIR names another folder, --no-resume goes without`;
}
