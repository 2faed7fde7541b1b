import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type CorpusName, writeCorpus, writeSmallFiles } from './corpora.js';
import { writeRelease } from './release.js';
import { fewEdits, randomInsertions, writeChangedRows, writeEditedCopy } from './versions.js';

/** One or several files that a run works on. */
export interface Input {
  readonly paths: readonly string[];
  readonly sizeBytes: number;
}

/** A file and its second version. */
export interface InputPair {
  readonly first: Input;
  readonly second: Input;
}

/** Seeds are fixed: two reports on the same machine are about the same bytes. */
const SEED = 20_251;
/** 1024 fp32 values, a row of a middle-sized model. */
const ROW_BYTES = 4096;
/** Of the changed rows, as 500 of 50,000. */
const CHANGED_PART = 0.01;
/** Of the insertions, as 200 in 205 MB. */
const BYTES_PER_INSERTION = 1_024_000;
const INSERT_BYTES = 37;

/** Makes inputs when they are first asked for and keeps them for the scenarios that follow. */
export interface Inputs {
  /** A file of that corpus. */
  corpus(name: CorpusName, sizeBytes: number): Promise<Input>;
  /** Files of 1 to 100 kB. */
  smallFiles(count: number): Promise<Input>;
  /** Three places edited in a random file. */
  edited(sizeBytes: number): Promise<InputPair>;
  /** One row of a hundred of an fp32 checkpoint changed. */
  changedRows(sizeBytes: number): Promise<InputPair>;
  /** 37 bytes inserted at 200 places of 205 MB of an fp32 checkpoint, and in proportion. */
  insertions(sizeBytes: number): Promise<InputPair>;
  /** Two releases of a package. */
  releases(sizeBytes: number): Promise<InputPair>;
}

export function createInputs(folder: string): Inputs {
  const made = new Map<string, Promise<Input>>();
  const file = (name: string, write: (path: string) => Promise<void>): Promise<Input> => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const path = join(folder, name);
    const input = write(path).then(() => inputOf([path]));
    made.set(name, input);
    return input;
  };
  const corpus = (name: CorpusName, sizeBytes: number): Promise<Input> =>
    file(`${name}-${sizeBytes}`, (path) => writeCorpus(path, { name, sizeBytes, seed: SEED }));
  const rowsOf = (sizeBytes: number): Promise<Input> =>
    corpus('fp32', Math.max(1, Math.round(sizeBytes / ROW_BYTES)) * ROW_BYTES);

  return {
    corpus,
    smallFiles: (count) => {
      const name = `small-${count}`;
      const known = made.get(name);
      if (known !== undefined) return known;
      const input = writeSmallFiles(join(folder, name), count, SEED).then(inputOf);
      made.set(name, input);
      return input;
    },
    edited: async (sizeBytes) => {
      const first = await corpus('random', sizeBytes);
      const second = await file(`edited-${sizeBytes}`, (path) =>
        writeEditedCopy(onlyPath(first), path, { edits: fewEdits(sizeBytes), seed: SEED }),
      );
      return { first, second };
    },
    changedRows: async (sizeBytes) => {
      const first = await rowsOf(sizeBytes);
      const rows = first.sizeBytes / ROW_BYTES;
      const second = await file(`rows-${first.sizeBytes}`, (path) =>
        writeChangedRows(onlyPath(first), path, {
          rowBytes: ROW_BYTES,
          count: Math.max(1, Math.round(rows * CHANGED_PART)),
          delta: 0.001,
          seed: SEED,
        }),
      );
      return { first, second };
    },
    insertions: async (sizeBytes) => {
      const first = await rowsOf(sizeBytes);
      const edits = randomInsertions({
        sizeBytes: first.sizeBytes,
        count: Math.max(1, Math.round(first.sizeBytes / BYTES_PER_INSERTION)),
        insertBytes: INSERT_BYTES,
        seed: SEED,
      });
      const second = await file(`inserts-${first.sizeBytes}`, (path) =>
        writeEditedCopy(onlyPath(first), path, { edits, seed: SEED }),
      );
      return { first, second };
    },
    releases: async (sizeBytes) => {
      const release = (number: 1 | 2): Promise<Input> =>
        file(`release-${number}-${sizeBytes}`, (path) =>
          writeRelease(path, { sizeBytes, seed: SEED, release: number }),
        );
      return { first: await release(1), second: await release(2) };
    },
  };
}

/** The input that these files are. */
export async function inputOf(paths: readonly string[]): Promise<Input> {
  let sizeBytes = 0;
  for (const path of paths) sizeBytes += (await stat(path)).size;
  return { paths, sizeBytes };
}

/** The path of an input of one file. */
export function onlyPath(input: Input): string {
  const [path] = input.paths;
  if (path === undefined || input.paths.length > 1)
    throw new Error('expected an input of one file');
  return path;
}
