import type { OptionSpec } from './command.js';

/** Options of an upload to a Hub. */
export const HUB_UPLOAD: readonly OptionSpec[] = [
  { name: 'create', help: 'of hf://: make the repository when it is missing' },
  { name: 'private', help: 'of --create: only its owners see it' },
  { name: 'message', short: 'm', value: 'TEXT', help: 'of hf://: title of the commit' },
  { name: 'pr', help: 'of hf://: propose the change instead of making it' },
  {
    name: 'include',
    value: 'PATTERN',
    help: 'of hf://: only what matches; may be given several times',
    isRepeatable: true,
  },
  { name: 'delete-removed', help: 'of hf://: delete what is not in the folder any more' },
];

/** Options of a download from a Hub. */
export const HUB_DOWNLOAD: readonly OptionSpec[] = [
  {
    name: 'include',
    value: 'PATTERN',
    help: 'of hf://: only what matches; may be given several times',
    isRepeatable: true,
  },
  {
    name: 'exclude',
    value: 'PATTERN',
    help: 'of hf://: without what matches; may be given several times',
    isRepeatable: true,
  },
  {
    name: 'hf-cache',
    help: 'of hf://: into the cache of the Python client, where it finds the files; without -o',
  },
  {
    name: 'transport',
    value: 'T',
    help: 'of hf://: auto, xet (the store only), http (without the store)',
    choices: ['auto', 'xet', 'http'],
  },
];
