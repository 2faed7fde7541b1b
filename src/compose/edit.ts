import { createJournals } from '../io/index.js';
import type { PlacementName } from './client-types.js';
import type { DownloadParts } from './download.js';
import { inputList, toSource, type UploadInput } from './input.js';
import {
  applySplices,
  type ClientEditOptions,
  checkEdit,
  type EditResult,
  type Splice,
} from './splices.js';
import type { UploadState } from './upload.js';
import type { UploadResume } from './upload-resume.js';

export type { ClientEditOptions, EditResult };

/** One change of a stored file. */
export interface ClientSplice extends Splice<UploadInput> {}

/** Changes a stored file. @throws what `OrbweaverClient.edit` does */
export async function runEdit(
  { state, ...parts }: DownloadParts & { readonly placement: PlacementName },
  fileHash: string,
  splices: readonly ClientSplice[],
  options: ClientEditOptions,
): Promise<EditResult> {
  checkEdit(fileHash, splices, options);
  const sources = [];
  for (const { insert, ...splice } of splices) {
    const [input] = insert === undefined ? [] : inputList([insert]);
    sources.push(input === undefined ? splice : { ...splice, insert: await toSource(input) });
  }
  const memory = await memoryOf(state ?? null, { fileHash, splices, options });
  return applySplices({ ...parts, memory }, fileHash, sources, options);
}

/** Where it is remembered; null: nowhere. */
async function memoryOf(
  state: UploadState | null,
  edit: {
    readonly fileHash: string;
    readonly splices: readonly ClientSplice[];
    readonly options: ClientEditOptions;
  },
): Promise<UploadResume | null> {
  if (state === null) return null;
  const { openUploadResume } = await import('./upload-resume.js');
  const { editFacts, optionsAgain } = await import('./resume-facts.js');
  const { endpoint, stateFolder, onProblem } = state;
  const facts = editFacts({ ...edit, endpoint, options: optionsAgain(edit.options) });
  const journals = createJournals(stateFolder);
  return openUploadResume({ journals, place: stateFolder, onProblem, facts });
}
