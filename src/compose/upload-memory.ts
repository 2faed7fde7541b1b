import { join } from 'node:path';
import { KnownFiles } from '../client/index.js';
import { isOrbweaverError, type OrbweaverError } from '../errors.js';
import { createJournals, createShardCache } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { ResumeFacts } from './resume-facts.js';
import { openUploadResume, type UploadResume } from './upload-resume.js';

/**
 * What an upload remembers on this machine, in the state folder:
 *
 *     <stateFolder>/<id>.…        what an unfinished upload has sent (`upload-resume.ts`)
 *     <stateFolder>/files/…       which files are uploaded, to tell them again (`known-files.ts`)
 */

/** Most bytes of records of files, of all endpoints: some 500,000 small files. */
const MAX_FILES_BYTES: number = 128 * 1024 * 1024;

export interface UploadMemoryOptions {
  readonly stateFolder: string;
  readonly endpoint: string;
  readonly facts: ResumeFacts;
  readonly onProblem: (error: OrbweaverError) => void;
}

export interface UploadMemory {
  readonly resume: UploadResume;
  /** Null: the folder is of no use. */
  readonly files: KnownFiles | null;
  /** The upload has ended well. */
  done(): Promise<void>;
  /** It has not; the id by which it can be gone on with, if there is something to go on with. */
  interrupted(): Promise<string | null>;
}

/** Never rejects for a folder that is of no use: that is told once. */
export async function openUploadMemory(options: UploadMemoryOptions): Promise<UploadMemory> {
  const { stateFolder, endpoint } = options;
  let told = false;
  const onProblem = (error: OrbweaverError): void => {
    if (!told) options.onProblem(error);
    told = true;
  };
  const [resume, files] = await Promise.all([
    openUploadResume({
      ...{ journals: createJournals(stateFolder), place: stateFolder },
      ...{ facts: options.facts, onProblem },
    }),
    filesOf(join(stateFolder, 'files'), endpoint, onProblem),
  ]);
  return {
    resume,
    files,
    async done() {
      await files?.written();
      await resume.done();
    },
    async interrupted() {
      await files?.written();
      return resume.interrupted();
    },
  };
}

async function filesOf(
  dir: string,
  endpoint: string,
  onProblem: (error: OrbweaverError) => void,
): Promise<KnownFiles | null> {
  try {
    const cache = await createShardCache({ dir, endpoint, maxBytes: MAX_FILES_BYTES });
    return new KnownFiles(cache, SYSTEM_CLOCK);
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    onProblem(error);
    return null;
  }
}
