import type { Contender } from './contender.js';
import { type InputPair, inputOf } from './inputs.js';
import type { BenchContext, ContenderParts, Scenario } from './scenario.js';
import { ingestScenario } from './scenario-ingest.js';
import { downloadScenario, readBackScenario } from './scenarios-download.js';
import { gatewayScenario, secondVersion } from './scenarios-gateway.js';
import {
  chunkScenario,
  corpusInput,
  editedSession,
  middle,
  ownFiles,
  ownFirstFile,
  plainUpload,
  twiceSession,
} from './scenarios-local.js';

const edited = (context: BenchContext): Promise<InputPair> =>
  context.inputs.edited(context.sizeBytes);
const rows = (context: BenchContext): Promise<InputPair> =>
  context.inputs.changedRows(context.sizeBytes);
const inserts = (context: BenchContext): Promise<InputPair> =>
  context.inputs.insertions(context.sizeBytes);
const releases = async (context: BenchContext): Promise<InputPair> => {
  if (context.pairPaths === null) return context.inputs.releases(context.sizeBytes);
  const [first, second] = context.pairPaths;
  return { first: await inputOf([first]), second: await inputOf([second]) };
};

/** What lies between client and gateway in the scenarios that say so. */
const LINKS = {
  tls: { words: 'over TLS', link: { tls: true } },
  far: { words: 'over a link with a round trip of 20 ms', link: { oneWayMs: 10 } },
} as const;

/** Who can be told of the certificate of a run. */
const trusting = ({ orbweaver, peers }: ContenderParts): readonly Contender[] => [
  orbweaver,
  ...peers.filter((peer) => peer.abilities.includes('private-ca')),
];

const ROWS = 'One row of a hundred of an fp32 checkpoint changed';
const INSERTS = '37 random bytes inserted into an fp32 checkpoint at every megabyte or so';
const RELEASE = 'The next release of a package';

/** All scenarios in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  chunkScenario(
    'chunk-random',
    'Cut a random file into chunks and hash them.',
    corpusInput('random'),
  ),
  plainUpload(
    'upload-random',
    'Upload a random file to a sink, SHA-256 included.',
    corpusInput('random'),
  ),
  plainUpload(
    'upload-text',
    'Upload a text file to a sink, SHA-256 included.',
    corpusInput('text'),
  ),
  plainUpload(
    'upload-binaries',
    'Upload the programs and libraries of this machine as one file to a sink.',
    corpusInput('binaries'),
  ),
  plainUpload('upload-fp32', 'Upload fp32 weights to a sink.', corpusInput('fp32')),
  plainUpload('upload-bf16', 'Upload bf16 weights to a sink.', corpusInput('bf16')),
  plainUpload(
    'upload-small',
    'Upload many files of 1 to 100 kB in one session to a sink.',
    (context) => context.inputs.smallFiles(context.smallFileCount),
  ),
  editedSession,
  twiceSession,
  gatewayScenario(
    'gateway-upload',
    'Upload a random file to an empty gateway.',
    async (context) => ({
      before: [],
      input: await context.inputs.corpus('random', context.sizeBytes),
      pair: null,
    }),
  ),
  gatewayScenario(
    'gateway-again',
    'Upload a random file that the gateway has, with nothing remembered by the client.',
    async (context) => {
      const input = await context.inputs.corpus('random', context.sizeBytes);
      return { before: [input], input, pair: { first: input, second: input } };
    },
  ),
  secondVersion(
    'gateway-edited',
    'Upload a copy with three edits of a random file that the gateway has.',
    edited,
  ),
  secondVersion('gateway-rows', `${ROWS}: upload it to a gateway that has the old one.`, rows),
  secondVersion(
    'gateway-inserts',
    `${INSERTS}: upload it to a gateway that has the old one.`,
    inserts,
  ),
  secondVersion(
    'gateway-release',
    `${RELEASE}, unpacked: upload it to a gateway that has the one before.`,
    releases,
  ),
  ...(['tls', 'far'] as const).flatMap((name) =>
    [
      gatewayScenario(
        `${name}-upload`,
        `Upload a random file to an empty gateway ${LINKS[name].words}.`,
        async (context) => ({
          before: [],
          input: await context.inputs.corpus('random', context.sizeBytes),
          pair: null,
          link: LINKS[name].link,
        }),
      ),
      downloadScenario(
        `${name}-download`,
        `Download a random file from the gateway ${LINKS[name].words}.`,
        { input: corpusInput('random'), link: LINKS[name].link },
      ),
    ].map((scenario) => (name === 'tls' ? { ...scenario, contenders: trusting } : scenario)),
  ),
  downloadScenario('download-random', 'Download a random file from the gateway.', {
    input: corpusInput('random'),
  }),
  downloadScenario('download-bf16', 'Download bf16 weights from the gateway.', {
    input: corpusInput('bf16'),
  }),
  downloadScenario(
    'download-range',
    'Download a sixteenth of a random file, in its middle, from the gateway.',
    { input: corpusInput('random'), part: middle },
  ),
  readBackScenario('read-rows', `${ROWS}: read it, stored alone and beside the old one.`, rows),
  readBackScenario(
    'read-inserts',
    `${INSERTS}: read it, stored alone and beside the old one.`,
    inserts,
  ),
  readBackScenario(
    'read-release',
    `${RELEASE}: read it, stored alone and beside the one before.`,
    releases,
  ),
  ingestScenario(
    'ingest-random',
    'How fast a gateway takes and verifies the xorbs of a random file. Time and memory are its own.',
    corpusInput('random'),
  ),
];

/** Scenarios about the user's own files. */
export const FILE_SCENARIOS: readonly Scenario[] = [
  chunkScenario('file-chunk', 'Cut your files into chunks and hash them.', ownFiles),
  plainUpload('file-upload', 'Upload your files to a sink, SHA-256 included.', ownFiles),
  downloadScenario('file-download', 'Download the first of your files from the gateway.', {
    input: ownFirstFile,
  }),
];

/**
 * The scenarios with these names, or of these groups (`upload` takes all `upload-…`). No names: all.
 * Unknown names are returned apart.
 */
export function selectScenarios(
  names: readonly string[],
  from: readonly Scenario[],
): { readonly chosen: readonly Scenario[]; readonly unknown: readonly string[] } {
  if (names.length === 0) return { chosen: from, unknown: [] };
  const matches = (scenario: Scenario, name: string): boolean =>
    scenario.name === name || scenario.name.startsWith(`${name}-`);
  return {
    chosen: from.filter((scenario) => names.some((name) => matches(scenario, name))),
    unknown: names.filter((name) => !from.some((scenario) => matches(scenario, name))),
  };
}
