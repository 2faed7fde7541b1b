import { mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Ability, Contender } from './contenders.js';
import { writeFreshCopy } from './fresh-copy.js';
import { type Input, type Material, type MaterialName, WORDS } from './inputs.js';
import { newDataOf } from './new-data.js';
import type { ProcessRun } from './run-process.js';
import type { BenchContext, OpenScenario, Scenario } from './scenario.js';
import { type BenchLink, NOTHING_SEEN, openGateway, openSink, type Server } from './servers.js';
import type { Sample } from './types.js';
import type { WorkRequest } from './work.js';
import { folderBytes, isCopyOf, linkTree } from './work-folder.js';

/** What can be measured of an input: a scenario without its name. */
export type Kind = Omit<Scenario, 'name'>;

/** One measured run: the contender's own account, and what the server saw meanwhile. */
async function measure(
  context: BenchContext,
  contender: Contender,
  work: WorkRequest,
  server?: Server,
): Promise<{ readonly sample: Sample; readonly run: ProcessRun }> {
  server?.reset();
  const run = await context.runWork(contender, work);
  const { wallMs, cpuMs, peakBytes } = run;
  const sample = { wallMs, cpuMs, peakBytes, ...(server?.counts() ?? NOTHING_SEEN) };
  return { sample, run };
}

/** Uploads an input as a session of its own that is not measured. The hash of its last file. */
async function fill(
  context: BenchContext,
  server: Server,
  { paths }: Input,
  contender: Contender = context.orbweaver,
): Promise<string> {
  const run = await context.runWork(contender, { op: 'upload', server: server.target, paths });
  return hashesOf(run).at(-1) ?? '';
}

/** Cut and hash; nothing is sent. */
export function chunkKind(name: MaterialName): Kind {
  return {
    question: `Cut ${WORDS[name]} into chunks and hash them.`,
    abilities: ['chunk'],
    folderInputs: 1,
    contenders: ({ orbweaver, variant, peers }) => [
      orbweaver,
      variant('orbweaver, 1 worker', { workers: 1, chunkOn: 'pool' }),
      variant('orbweaver, 2 workers', { workers: 2, chunkOn: 'pool' }),
      ...peers,
    ],
    open: async (context) => {
      const { input } = await context.material(name);
      const check = createHashCheck();
      const { paths, sizeBytes } = input;
      return {
        inputBytes: sizeBytes,
        newData: null,
        run: async (contender) => {
          const { sample, run } = await measure(context, contender, { op: 'chunk', paths });
          check(run);
          return sample;
        },
      };
    },
  };
}

/** Sends paths, or the input of the scenario, and measures it. */
type Upload = (contender: Contender, server: Server, copies?: readonly string[]) => Promise<Sample>;
/** Makes the runs of a scenario of uploads. */
type Runs = (
  context: BenchContext,
  material: Material,
  upload: Upload,
) => Promise<OpenScenario['run']>;

/** Upload everything in one session. */
function uploads(name: MaterialName, runs: Runs): Scenario['open'] {
  return async (context) => {
    const material = await context.material(name);
    const { input, first } = material;
    const check = createHashCheck();
    const upload: Upload = async (contender, server, copies) => {
      const paths = copies ?? input.paths;
      const work = { op: 'upload', server: server.target, paths } as const;
      const { sample, run } = await measure(context, contender, work, server);
      // Each copy has a hash of its own.
      if (copies === undefined) check(run);
      return sample;
    };
    const newData = first === null ? null : await newDataOf(first, input);
    return { inputBytes: input.sizeBytes, newData, run: await runs(context, material, upload) };
  };
}

/** To a sink, which keeps nothing. */
export function sinkKind(name: MaterialName): Kind {
  return {
    question: `Upload ${WORDS[name]} to a sink, SHA-256 included.`,
    abilities: ['upload'],
    // A file and at most its second version.
    folderInputs: 2,
    open: uploads(name, async (context, _, upload) => {
      const sink = await context.shared('sink');
      return (contender) => upload(contender, sink);
    }),
  };
}

/**
 * To a gateway. Each run meets a store of its own, in the same state: empty, or with what came before,
 * sent there by the same contender in a session that nothing but the server remembers.
 */
export function gatewayKind(name: MaterialName, link: BenchLink = {}, before = ''): Kind {
  const gateway = before === '' ? 'an empty gateway' : `a gateway that has ${before}`;
  return {
    question: `Upload ${WORDS[name]} to ${gateway}${linkText(link)}.`,
    abilities: abilitiesFor('upload', link),
    // Two versions, the store before, the copy of it that grows.
    folderInputs: 4,
    open: uploads(name, async (context, { first }, upload) => {
      const filled = new Map<Contender, string>();
      return async (contender) => {
        const data = context.freshPath('store');
        if (first !== null) {
          const known = filled.get(contender) ?? (await filledStore(context, first, contender));
          filled.set(contender, known);
          await linkTree(known, data);
        }
        const server = await context.closing(openGateway(data, link));
        const bytesBefore = first === null ? 0 : await folderBytes(data);
        const sample = await upload(contender, server);
        // The gateway responds when all is written, so the folder is complete now.
        const storedBytes = (await folderBytes(data)) - bytesBefore;
        await server.close();
        await rm(data, { recursive: true });
        return { ...sample, storedBytes };
      };
    }),
  };
}

/** The folder of a gateway that has been told an input. */
async function filledStore(
  context: BenchContext,
  input: Input,
  contender: Contender,
): Promise<string> {
  const data = context.freshPath('before');
  const server = await context.closing(openGateway(data));
  await fill(context, server, input, contender);
  await server.close();
  return data;
}

/**
 * To the user's server, which keeps what it is sent: again, what orbweaver has sent before, or `fresh`
 * copies for each run, of which the server has nothing.
 */
export function remoteKind(name: MaterialName, which: 'again' | 'fresh'): Kind {
  const isFresh = which === 'fresh';
  return {
    question: isFresh
      ? `Upload fresh copies of ${WORDS[name]}, of which your server has nothing.`
      : `Upload ${WORDS[name]} again, all of which your server has.`,
    abilities: ['upload'],
    folderInputs: 2,
    open: uploads(name, async (context, { input }, upload) => {
      const server = await context.shared('remote');
      if (!isFresh) await fill(context, server, input);
      return async (contender) => {
        if (!isFresh) return upload(contender, server);
        const folder = context.freshPath('fresh');
        await mkdir(folder);
        const copies = input.paths.map((path, index) => join(folder, `${index}-${basename(path)}`));
        for (const [index, copy] of copies.entries()) {
          await writeFreshCopy(input.paths[index] as string, copy);
        }
        const sample = await upload(contender, server, copies);
        await rm(folder, { recursive: true });
        return sample;
      };
    }),
  };
}

/** A part of a file: a sixteenth, in its middle and across the ends of chunks. */
function middle(sizeBytes: number): { start: number; end: number } {
  const start = Math.min(Math.floor(sizeBytes * 0.47) + 1, Math.max(0, sizeBytes - 1));
  return { start, end: Math.min(sizeBytes, start + Math.ceil(sizeBytes / 16)) };
}

const ALONE = ', stored alone';
const DEDUPLICATED = ', deduplicated';

/** Download a file that orbweaver has stored, whole or in part, and hold it against the original. */
export function downloadKind(
  name: MaterialName,
  place: 'gateway' | 'remote',
  options: BenchLink & {
    /** Only a sixteenth, in the middle. */
    readonly part?: boolean;
    /** What dedup costs the reader: from a store that has it alone, and beside what came before. */
    readonly twoStores?: boolean;
  } = {},
): Kind {
  const { part = false, twoStores = false, ...link } = options;
  const what = part ? `a sixteenth of ${WORDS[name]}, in its middle,` : WORDS[name];
  const from = place === 'remote' ? 'your server' : 'the gateway';
  const how = twoStores ? ', stored alone and beside the one before' : linkText(link);
  return {
    question: `Download ${what} from ${from}${how}.`,
    abilities: abilitiesFor(part ? 'download-range' : 'download', link),
    // Input, store, output; or two versions, a store with one, a store with both, output.
    folderInputs: twoStores ? 6 : 3,
    contenders: ({ orbweaver, peers }) =>
      [orbweaver, ...peers].flatMap((one) =>
        twoStores ? [ALONE, DEDUPLICATED].map((way) => ({ ...one, name: one.name + way })) : [one],
      ),
    open: async (context) => {
      const { input, first } = await context.material(name);
      const [original = ''] = input.paths;
      const open = (): Promise<Server> =>
        place === 'remote'
          ? context.shared('remote')
          : context.closing(openGateway(context.freshPath('store'), link));
      const store = await open();
      const both = twoStores ? await open() : store;
      if (twoStores && first !== null) await fill(context, both, first);
      if (twoStores) await fill(context, both, input);
      const hash = await fill(context, store, input);
      const { sizeBytes } = input;
      const range = part ? middle(sizeBytes) : null;
      const { start, end } = range ?? { start: 0, end: sizeBytes };
      return {
        inputBytes: end - start,
        newData: null,
        run: async (contender) => {
          const server = contender.name.endsWith(DEDUPLICATED) ? both : store;
          const path = context.freshPath('download');
          const { target } = server;
          const work = { op: 'download', server: target, hash, sizeBytes, path, range } as const;
          const { sample } = await measure(context, contender, work, server);
          if (!(await isCopyOf(path, { path: original, start, end }))) {
            throw new Error('the downloaded bytes are not those of the original');
          }
          await rm(path);
          return sample;
        },
      };
    },
  };
}

/**
 * How fast a gateway takes and verifies: the bodies of an upload, recorded before, are posted to a
 * gateway in the process that is measured.
 */
export function ingestKind(name: MaterialName): Kind {
  return {
    question: `Post the xorbs of ${WORDS[name]} to a gateway in the same process, which verifies them.`,
    abilities: ['ingest'],
    // Input, recorded bodies, store.
    folderInputs: 3,
    contenders: ({ orbweaver, variant }) => [
      orbweaver,
      variant('orbweaver, 0 workers', { workers: 0 }),
    ],
    open: async (context) => {
      const { input } = await context.material(name);
      const bodies = context.freshPath('bodies');
      await mkdir(bodies);
      const sink = await context.closing(openSink(bodies));
      await fill(context, sink, input);
      return {
        inputBytes: input.sizeBytes,
        newData: null,
        run: async (contender) => {
          const data = context.freshPath('store');
          const work = { op: 'ingest', bodies, data } as const;
          const { sample } = await measure(context, contender, work);
          const storedBytes = await folderBytes(data);
          await rm(data, { recursive: true });
          return { ...sample, storedBytes };
        },
      };
    },
  };
}

function linkText({ tls, oneWayMs }: BenchLink): string {
  const delay =
    oneWayMs === undefined ? '' : ` over a link with a round trip of ${2 * oneWayMs} ms`;
  return `${tls === true ? ' through TLS' : ''}${delay}`;
}

function abilitiesFor(ability: Ability, { tls }: BenchLink): readonly Ability[] {
  return tls === true ? [ability, 'private-ca'] : [ability];
}

/** Files of a run that names their hashes; none of one that does not. */
function hashesOf({ result }: ProcessRun): readonly string[] {
  return Array.isArray(result['hashes']) ? (result['hashes'] as string[]) : [];
}

/**
 * Holds the hashes of the same input against each other, whoever computed them: what it makes throws
 * for a run that told hashes which are not those of the others.
 */
function createHashCheck(): (run: ProcessRun) => void {
  let expected = '';
  return (run) => {
    const hashes = hashesOf(run).join();
    if (expected === '') expected = hashes;
    if (hashes !== '' && hashes !== expected) {
      throw new Error('its file hashes are not those of the others');
    }
  };
}
