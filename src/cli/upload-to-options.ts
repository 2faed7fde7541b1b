import type { OptionSpec } from './command.js';

/** Apart from `upload-to.ts`, which is loaded only when it is asked for. */

/** Options of `upload` for the other upload systems, besides `--token`. */
export const UPLOAD_TO_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'to',
    value: 'KIND:URL',
    help: 'another upload system: multipart:, cascade: or startrail: and its URL',
  },
  { name: 'token-file', value: 'FILE', help: 'the token, of a store or of --to, from a file' },
  {
    name: 'set',
    value: 'NAME=VALUE',
    help: 'a setting of it (docs/targets.md); may be given several times',
    isRepeatable: true,
  },
  { name: 'size', value: 'BYTES', help: 'how much "-" is going to be, where --to has to know' },
  { name: 'accept-cost', help: 'yes, this upload may spend coins (cascade)' },
];
