/** Apart from `upload-to.ts`, which is loaded only when it is asked for. */

/** Options of `upload` that this way of uploading has besides `--token`. */
export const UPLOAD_TO_OPTIONS: {
  readonly [name: string]: { readonly type: 'string' | 'boolean'; readonly multiple?: boolean };
} = {
  to: { type: 'string' },
  'token-file': { type: 'string' },
  set: { type: 'string', multiple: true },
  'state-dir': { type: 'string' },
  'no-resume': { type: 'boolean' },
  size: { type: 'string' },
  'accept-cost': { type: 'boolean' },
};

export const UPLOAD_TO_HELP: string = `  --to KIND:URL         another upload system instead: multipart:URL, cascade:URL or
                        startrail:URL (docs/targets.md)
  --token-file FILE     its token, read from a file
  --set NAME=VALUE      a setting of it; may be given several times
  --state-dir DIR       where unfinished transfers are remembered   [$XDG_STATE_HOME/orbweaver]
  --size BYTES          how much "-" is going to be: such systems want to know it first
  --no-resume           begin anew, and remember nothing
  --accept-cost         yes, this upload may spend coins (cascade)`;
