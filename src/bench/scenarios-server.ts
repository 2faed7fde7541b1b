import { rm } from 'node:fs/promises';
import { writeFreshCopy } from './fresh-copy.js';
import { fill } from './gateway-store.js';
import { type Input, inputOf } from './inputs.js';
import { createHashCheck, measure, measureDownload, onlyHash } from './measure.js';
import type { BenchContext, Scenario } from './scenario.js';
import { chunkScenario, middle, ownFiles } from './scenarios-local.js';

/**
 * The user's own server and files. Wall time, processor time and memory are those of the client;
 * bytes on the wire are not seen, since nothing may lie between a client and a server elsewhere.
 */

/** Uploads what the server has never seen: each run sends copies of its own. */
const upload: Scenario = {
  name: 'server-upload',
  question: 'Upload fresh copies of your files, of which your server has nothing.',
  ability: 'upload',
  folderInputs: 1,
  open: async (context) => {
    const input = await ownFiles(context);
    const server = await context.remote();
    return {
      inputBytes: input.sizeBytes,
      newData: null,
      run: async (contender) => {
        const copies = await freshCopies(context, input);
        try {
          const work = { op: 'upload', server: server.target, paths: copies } as const;
          return (await measure(context, contender, work, null)).sample;
        } finally {
          for (const path of copies) await rm(path, { force: true });
        }
      },
      close: async () => {},
    };
  },
};

async function freshCopies(context: BenchContext, input: Input): Promise<readonly string[]> {
  const copies: string[] = [];
  for (const path of input.paths) {
    const copy = context.freshPath('fresh');
    await writeFreshCopy(path, copy);
    copies.push(copy);
  }
  return copies;
}

/** Uploads what the server has, from a client that remembers nothing. */
const again: Scenario = {
  name: 'server-again',
  question: 'Upload your files again, all of which your server has.',
  ability: 'upload',
  folderInputs: 0,
  open: async (context) => {
    const input = await ownFiles(context);
    const server = await context.remote();
    await fill(context, { server, contender: context.orbweaver, inputs: [input] });
    const { check } = createHashCheck();
    return {
      inputBytes: input.sizeBytes,
      newData: null,
      run: async (contender) => {
        const work = { op: 'upload', server: server.target, paths: input.paths } as const;
        const { sample, run } = await measure(context, contender, work, null);
        check(run);
        return sample;
      },
      close: async () => {},
    };
  },
};

/** Reads the first of the files, or a part of it, and compares every byte. */
function read(
  name: string,
  question: string,
  part?: (sizeBytes: number) => { start: number; end: number },
): Scenario {
  return {
    name,
    question,
    ability: part === undefined ? 'download' : 'download-range',
    folderInputs: 1,
    open: async (context) => {
      const [original] = context.filePaths;
      if (original === undefined) throw new Error('expected a file of your own');
      const input = await inputOf([original]);
      const server = await context.remote();
      const contender = context.orbweaver;
      const [run] = await fill(context, { server, contender, inputs: [input] });
      if (run === undefined) throw new Error('expected one upload');
      const hash = onlyHash(run);
      const range = part?.(input.sizeBytes) ?? null;
      return {
        inputBytes: range === null ? input.sizeBytes : range.end - range.start,
        newData: null,
        run: (one) => measureDownload(context, one, { server, hash, original, range }),
        close: async () => {},
      };
    },
  };
}

/** Scenarios about the user's own server, with files of theirs. */
export const SERVER_SCENARIOS: readonly Scenario[] = [
  chunkScenario('server-chunk', 'Cut your files into chunks and hash them.', ownFiles),
  upload,
  again,
  read('server-download', 'Download the first of your files from your server.'),
  read(
    'server-range',
    'Download a sixteenth of the first of your files, in its middle, from your server.',
    middle,
  ),
];
