import { apiPath, type RepoId } from './address.js';
import { base64Of } from './commit.js';
import type { HubHttp } from './http.js';
import { objectOf, objectsOf, textOf } from './json.js';

/** A file that is to be committed. */
export interface PreuploadFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Its first bytes, up to {@link SAMPLE_BYTES}: the Hub looks at them to tell text. */
  readonly sample: Uint8Array;
}

/** What the Hub wants of a file. */
export interface PreuploadAnswer {
  /** `lfs`: its data goes to the store; `regular`: into the commit. */
  readonly mode: 'lfs' | 'regular';
  /** The repository's own rules leave it out. */
  readonly isIgnored: boolean;
  /** Name of what is under that path now: SHA-256 or git's SHA-1; null: nothing, or it does not say. */
  readonly oid: string | null;
}

export const SAMPLE_BYTES: number = 512;

/** Files of one question, as the reference clients ask. */
export const PREUPLOAD_FILES: number = 256;

/** Rules that come with the files, in place of those that the repository has. */
export interface PreuploadRules {
  /** Text of `.gitignore` at the top. */
  readonly gitIgnore?: string | undefined;
  /** Text of `.gitattributes` at the top. */
  readonly gitAttributes?: string | undefined;
}

/** Asks how files are to be sent. At most {@link PREUPLOAD_FILES}. */
export async function preupload(
  http: HubHttp,
  repo: RepoId,
  files: readonly PreuploadFile[],
  options: {
    readonly revision: string;
    readonly createPr: boolean;
    readonly rules?: PreuploadRules | undefined;
    readonly signal: AbortSignal;
  },
): Promise<ReadonlyMap<string, PreuploadAnswer>> {
  const what = `asking how files of ${repo.name} are to be sent`;
  const query = options.createPr ? '?create_pr=1' : '';
  const { json } = await http.request({
    what,
    method: 'POST',
    path: `api/${apiPath(repo)}/preupload/${encodeURIComponent(options.revision)}${query}`,
    json: {
      files: files.map(({ path, sizeBytes, sample }) => ({
        path,
        size: sizeBytes,
        sample: base64Of(sample),
      })),
      ...options.rules,
    },
    repeatable: true,
    signal: options.signal,
  });
  const answers = objectsOf(objectOf(json)?.['files'], what);
  return new Map(
    answers.map((answer) => [
      textOf(answer, 'path', what),
      {
        mode: textOf(answer, 'uploadMode', what) === 'lfs' ? 'lfs' : 'regular',
        isIgnored: answer['shouldIgnore'] === true,
        oid: typeof answer['oid'] === 'string' ? answer['oid'] : null,
      },
    ]),
  );
}
