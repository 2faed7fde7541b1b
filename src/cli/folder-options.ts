import type { OptionSpec } from './command.js';

/** Which names are taken; of uploads and downloads. */
export const NAMES: OptionSpec = {
  name: 'names',
  value: 'RULES',
  help: 'names in folders: portable (safe on every system) or native (what this one takes)',
  choices: ['portable', 'native'],
};

/** What of a folder is uploaded. */
export const FOLDER_UPLOAD: readonly OptionSpec[] = [
  {
    name: 'exclude',
    value: 'PATTERN',
    help: 'leave this out of a folder: a name, or a path with slashes; may be given several times',
    isRepeatable: true,
  },
  {
    name: 'files-from',
    value: 'LIST',
    help: 'only the paths in this file, from the folder that is given (none: from here), one a line or ended by NUL; "-" is standard input',
  },
  { name: 'no-hidden', help: 'leave out names that begin with a dot' },
  {
    name: 'symlinks',
    value: 'HOW',
    help: 'links in folders: keep them, follow them, or skip them',
    choices: ['keep', 'follow', 'skip'],
  },
  NAMES,
];

/** How a folder is restored. */
export const FOLDER_DOWNLOAD: readonly OptionSpec[] = [
  { name: 'no-clobber', help: 'of a folder: leave files that are there as they are' },
  NAMES,
];
