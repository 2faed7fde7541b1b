import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type CorpusName, writeCorpus, writeSmallFiles } from './corpora.js';
import { writeRelease } from './release.js';
import { fewEdits, randomInsertions, writeChangedRows, writeEditedCopy } from './versions.js';

/** One or several files that a run works on. */
export interface Input {
  readonly paths: readonly string[];
  readonly sizeBytes: number;
}

/** What a scenario works on. */
export interface Material {
  readonly input: Input;
  /** What came before it, when the question is how little is new; empty for data that repeats itself. */
  readonly first: Input | null;
}

/** What scenarios work on, by name, in the words of their questions. */
export const WORDS = {
  random: 'a random file',
  text: 'a text file',
  binaries: 'the programs and libraries of this machine as one file',
  fp32: 'fp32 weights',
  bf16: 'bf16 weights',
  small: 'many files of 1 to 100 kB in one session',
  same: 'a random file',
  edited: 'a random file with three edits',
  'edited-session': 'a random file and its copy with three edits in one session',
  'twice-session': 'the same random file twice in one session',
  rows: 'an fp32 checkpoint in which one row of a hundred has changed',
  inserts: 'an fp32 checkpoint with 37 bytes inserted at every megabyte or so',
  release: 'the next release of a package, unpacked,',
  own: 'your files',
  'own-first': 'the first of your files',
} as const;

/** Of those, a corpus is one file of it. */
export type MaterialName = keyof typeof WORDS;
type OtherName = Exclude<MaterialName, CorpusName>;

/** What inputs are made of. */
export interface InputOptions {
  /** Where they are written. */
  readonly folder: string;
  readonly sizeBytes: number;
  readonly smallFileCount: number;
  /** Files of the user. */
  readonly files: readonly string[];
  /** Two versions of the user. */
  readonly pair: readonly [string, string] | undefined;
}

/** Seeds are fixed: two reports on the same machine are about the same bytes. */
const seed = 20_251;
/** 1024 fp32 values, a row of a middle-sized model. */
const rowBytes = 4096;
/** Of the changed rows, as 500 of 50,000. */
const CHANGED_PART = 0.01;
/** Of the insertions, as 200 in 205 MB. */
const BYTES_PER_INSERTION = 1_024_000;
const insertBytes = 37;

/** Makes inputs when they are first asked for and keeps them for the scenarios that follow. */
export function createInputs(options: InputOptions): (name: MaterialName) => Promise<Material> {
  const made = new Map<string, Promise<string>>();
  const file: FileMaker = (name, write) => {
    const path = join(options.folder, name);
    const known = made.get(name) ?? write(path).then(() => path);
    made.set(name, known);
    return known;
  };
  const others = makers(options, file);
  return async (name) => {
    if (name in others) return others[name as OtherName]();
    const path = await corpus(file, name as CorpusName, options.sizeBytes);
    return material([path]);
  };
}

/** Writes a file of that name unless it is there. Its path. */
type FileMaker = (name: string, write: (path: string) => Promise<unknown>) => Promise<string>;

const corpus = (file: FileMaker, name: CorpusName, sizeBytes: number): Promise<string> =>
  file(`${name}-${sizeBytes}`, (path) => writeCorpus(path, { name, sizeBytes, seed }));

type Makers = Readonly<Record<OtherName, () => Promise<Material>>>;

function makers(options: InputOptions, file: FileMaker): Makers {
  const { sizeBytes, smallFileCount, files, pair } = options;
  const random = (): Promise<string> => corpus(file, 'random', sizeBytes);
  const rowCount = Math.max(1, Math.round(sizeBytes / rowBytes));
  const rows = (): Promise<string> => corpus(file, 'fp32', rowCount * rowBytes);
  const edited = async (): Promise<[string, string]> => {
    const first = await random();
    const edits = fewEdits(sizeBytes);
    return [first, await file('edited', (path) => writeEditedCopy(first, path, { edits, seed }))];
  };
  const release = (number: 1 | 2): Promise<string> =>
    file(`release-${number}`, (path) => writeRelease(path, { sizeBytes, seed, release: number }));
  const own = (paths: readonly string[]): Promise<Material> => {
    if (paths.length === 0) throw new Error('expected a file of your own');
    return material(paths);
  };
  return {
    /** Files of 1 to 100 kB. */
    small: async () => {
      const write = (path: string): Promise<unknown> => writeSmallFiles(path, smallFileCount, seed);
      const folder = await file('small', write);
      return material((await readdir(folder)).map((name) => join(folder, name)));
    },
    /** A random file, and the same again. */
    same: async () => material([await random()], [await random()]),
    /** A random file, and a copy with three edits. */
    edited: async () => {
      const [first, second] = await edited();
      return material([second], [first]);
    },
    /** Both at once. */
    'edited-session': async () => material(await edited(), []),
    /** The same file twice at once. */
    'twice-session': async () => material([await random(), await random()], []),
    /** One row of a hundred of an fp32 checkpoint changed. */
    rows: async () => {
      const first = await rows();
      const count = Math.max(1, Math.round(rowCount * CHANGED_PART));
      const change = { rowBytes, count, delta: 0.001, seed };
      return material([await file('rows', (to) => writeChangedRows(first, to, change))], [first]);
    },
    /** 37 bytes inserted at 200 places of 205 MB of an fp32 checkpoint, and in proportion. */
    inserts: async () => {
      const first = await rows();
      const bytes = rowCount * rowBytes;
      const count = Math.max(1, Math.round(bytes / BYTES_PER_INSERTION));
      const edits = randomInsertions({ sizeBytes: bytes, count, insertBytes, seed });
      const write = (to: string): Promise<void> => writeEditedCopy(first, to, { edits, seed });
      return material([await file('inserts', write)], [first]);
    },
    /** Two releases of a package: the user's, or made up. */
    release: async () => {
      const [first, second] = pair ?? [await release(1), await release(2)];
      return material([second], [first]);
    },
    /** The user's files. */
    own: () => own(files),
    'own-first': () => own(files.slice(0, 1)),
  };
}

async function material(
  paths: readonly string[],
  first: readonly string[] | null = null,
): Promise<Material> {
  return { input: await inputOf(paths), first: first === null ? null : await inputOf(first) };
}

/** The input that these files are. */
export async function inputOf(paths: readonly string[]): Promise<Input> {
  let sizeBytes = 0;
  for (const path of paths) sizeBytes += (await stat(path)).size;
  return { paths, sizeBytes };
}
