import type { CorpusName } from './corpora.js';
import { type Input, inputOf } from './inputs.js';
import { createHashCheck, measure } from './measure.js';
import { newDataOf } from './new-data.js';
import type { BenchContext, Scenario } from './scenario.js';
import type { NewData } from './types.js';

/** Scenarios without a server, or with one that keeps nothing: what they measure is the client. */

/** Chunk and hash files; nothing is sent. */
export function chunkScenario(name: string, question: string, input: InputMaker): Scenario {
  return {
    name,
    question,
    ability: 'chunk',
    folderInputs: 1,
    contenders: ({ orbweaver, variant, peers }) => [
      orbweaver,
      variant('orbweaver, 1 worker', { workers: 1, chunkOn: 'pool' }),
      variant('orbweaver, 2 workers', { workers: 2, chunkOn: 'pool' }),
      ...peers,
    ],
    open: async (context) => {
      const made = await input(context);
      const { check } = createHashCheck();
      return {
        inputBytes: made.sizeBytes,
        newData: null,
        run: async (contender) => {
          const work = { op: 'chunk', paths: made.paths } as const;
          const { sample, run } = await measure(context, contender, work, null);
          check(run);
          return sample;
        },
        close: async () => {},
      };
    },
  };
}

/** Makes the input of a scenario. */
export type InputMaker = (context: BenchContext) => Promise<Input>;

/** One file of a corpus, of the size that the harness was told. */
export function corpusInput(corpus: CorpusName): InputMaker {
  return (context) => context.inputs.corpus(corpus, context.sizeBytes);
}

/** The user's own files. */
export const ownFiles: InputMaker = async ({ filePaths }) => {
  if (filePaths.length === 0) throw new Error('expected a file of your own');
  return inputOf(filePaths);
};

/** The first of them. */
export const ownFirstFile: InputMaker = (context) =>
  ownFiles({ ...context, filePaths: context.filePaths.slice(0, 1) });

/** A sixteenth of the file, in its middle and across the ends of chunks. */
export function middle(sizeBytes: number): { start: number; end: number } {
  const start = Math.min(Math.floor(sizeBytes * 0.47) + 1, Math.max(0, sizeBytes - 1));
  return { start, end: Math.min(sizeBytes, start + Math.ceil(sizeBytes / 16)) };
}

/** Upload everything in one session to a sink. `newData` says how little could be sent. */
export function sinkScenario(
  name: string,
  question: string,
  prepare: (
    context: BenchContext,
  ) => Promise<{ readonly input: Input; readonly newData: NewData | null }>,
): Scenario {
  return {
    name,
    question,
    ability: 'upload',
    // A file and at most its second version.
    folderInputs: 2,
    open: async (context) => {
      const { input, newData } = await prepare(context);
      const sink = await context.sink();
      const { check } = createHashCheck();
      return {
        inputBytes: input.sizeBytes,
        newData,
        run: async (contender) => {
          const work = { op: 'upload', server: sink.target, paths: input.paths } as const;
          const { sample, run } = await measure(context, contender, work, sink);
          check(run);
          return sample;
        },
        close: async () => {},
      };
    },
  };
}

/** An upload of which nothing is known. */
export function plainUpload(name: string, question: string, input: InputMaker): Scenario {
  return sinkScenario(name, question, async (context) => ({
    input: await input(context),
    newData: null,
  }));
}

/** A file and its edited copy in one session. */
export const editedSession: Scenario = sinkScenario(
  'session-edited',
  'A random file and its copy with three edits, in one session to a sink.',
  async (context) => {
    const { first, second } = await context.inputs.edited(context.sizeBytes);
    const nothing = { paths: [], sizeBytes: 0 };
    const input = await inputOf([...first.paths, ...second.paths]);
    return { input, newData: await newDataOf({ first: nothing, second: input }) };
  },
);

/** The same file twice in one session. */
export const twiceSession: Scenario = sinkScenario(
  'session-twice',
  'The same random file twice in one session to a sink.',
  async (context) => {
    const file = await context.inputs.corpus('random', context.sizeBytes);
    const nothing = { paths: [], sizeBytes: 0 };
    const input = await inputOf([...file.paths, ...file.paths]);
    return { input, newData: await newDataOf({ first: nothing, second: input }) };
  },
);
