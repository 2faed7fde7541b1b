import { readFile, stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type BenchEvent,
  type BenchReport,
  type Comparison,
  compareReports,
  comparisonText,
  DEFAULT_ROUNDS,
  DEFAULT_SIZE_BYTES,
  DEFAULT_SMALL_FILES,
  defaultPeersDir,
  htmlReport,
  installPeers,
  listScenarios,
  PEER_NAMES,
  parseReport,
  runBench,
  textReport,
} from '../bench.js';
import { EXIT, OrbweaverError } from '../errors.js';
import { COMPUTE_OPTIONS, type ParsedArgs, readArgs, usage } from './args.js';
import { asUsage, computeOptionsOf } from './compute.js';
import type { CliContext, Command } from './context.js';
import { COMMON_HELP, COMPUTE_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { writeJson } from './output.js';
import { bytesText } from './text.js';

const SCENARIO_WIDTH = Math.max(...listScenarios().map(({ name }) => name.length));
const SCENARIO_LIST = listScenarios()
  .map(({ name, question }) => `  ${name.padEnd(SCENARIO_WIDTH)}  ${question}`)
  .join('\n');

export const benchCommand: Command = {
  help: `Usage: orbweaver bench [SCENARIO...] [OPTIONS]

Measures whole processes, orbweaver's and those of the peers that are installed, on generated
data in a memory-backed folder. A SCENARIO is a name below or the first word of several; without
any all run, which takes a while: --size and --rounds make it shorter.

Options:
  --rounds N            runs of each contender               [${DEFAULT_ROUNDS}]
  --size BYTES          of each generated input              [${bytesText(DEFAULT_SIZE_BYTES)}]
  --files N             files of upload-small                [${DEFAULT_SMALL_FILES}]
  --file PATH           measure with a file of your own: adds the scenarios file-...,
                        which run alone when no others are named
  --pair OLD NEW        two versions of your own for the scenarios about releases
  --peers A,B           which peers take part, "none" for none [all that are found]
                        ${PEER_NAMES.join(', ')}
  --install-peers       first install the JavaScript peers into .cache/bench-peers
  --out FILE            write the report as JSON
  --html FILE           write the report as a page with plots
  --compare FILE        hold the report against an older one (JSON)
  --fail-on-regression  exit with ${EXIT.regression} when --compare finds one beyond the noise
${COMPUTE_HELP}
                        (of orbweaver, not of peers)
${COMMON_HELP}

hf_xet takes part when $ORBWEAVER_BENCH_PYTHON, .cache/interop/bin/python or python3 imports it.
With --json the result is the report, with "comparison" added when there is one.

Scenarios:
${SCENARIO_LIST}

${EXIT_CODES_HELP}
`,
  run: bench,
};

async function bench(argv: readonly string[], context: CliContext): Promise<number> {
  const { rest, pair } = takePair(argv, context);
  const args = readArgs(rest, {
    ...COMPUTE_OPTIONS,
    rounds: { type: 'string' },
    size: { type: 'string' },
    files: { type: 'string' },
    file: { type: 'string' },
    peers: { type: 'string' },
    'install-peers': { type: 'boolean' },
    out: { type: 'string' },
    html: { type: 'string' },
    compare: { type: 'string' },
    'fail-on-regression': { type: 'boolean' },
  });
  const path = (name: string): string | undefined => {
    const value = args.text(name);
    return value === undefined ? undefined : resolve(context.cwd, value);
  };
  const [file, older, out, html] = [path('file'), path('compare'), path('out'), path('html')];
  if (args.flag('fail-on-regression') && older === undefined) {
    throw usage('--fail-on-regression expected --compare FILE');
  }
  // Before the long run: what cannot be read now cannot be read later.
  for (const input of [file, ...(pair ?? [])]) if (input !== undefined) await mustBeFile(input);
  const before = older === undefined ? null : await readReport(older);
  const say = createSay(args, context);
  if (args.flag('install-peers')) {
    say(`installing peers into ${defaultPeersDir()}\n`);
    await installPeers(defaultPeersDir());
  }

  const report = await asUsage(
    runBench({
      scenarios: args.positionals,
      rounds: args.count('rounds'),
      sizeBytes: args.bytes('size'),
      smallFileCount: args.count('files'),
      peers: peersOf(args),
      file,
      pair,
      orbweaver: computeOptionsOf(args),
      signal: context.signal,
      onProgress: (event) => say(eventText(event)),
    }),
  );
  const comparison = before === null ? undefined : compareReports(before, report);
  if (out !== undefined) await save(out, `${JSON.stringify(report, null, 1)}\n`);
  if (html !== undefined) await save(html, htmlReport(report, { comparison }));
  if (args.flag('json')) writeJson(context.stdout, { type: 'result', ...report, comparison });
  else {
    context.stdout.write(textReport(report));
    if (comparison !== undefined) context.stdout.write(`\n${comparisonText(comparison)}`);
  }
  return exitCodeOf(report, args.flag('fail-on-regression') ? comparison : undefined);
}

/** A regression is what was asked about; else a contender that failed is worth a code. */
function exitCodeOf(report: BenchReport, comparison: Comparison | undefined): number {
  if (comparison?.changes.some((change) => change.kind === 'regression')) return EXIT.regression;
  const failed = report.scenarios.some(({ variants }) => variants.some(({ failed }) => failed));
  return failed ? EXIT.partial : EXIT.ok;
}

/** `--pair OLD NEW` has two values, which the parser of options does not know. */
function takePair(
  argv: readonly string[],
  context: CliContext,
): { readonly rest: readonly string[]; readonly pair: readonly [string, string] | undefined } {
  const at = argv.indexOf('--pair');
  if (at < 0) return { rest: argv, pair: undefined };
  const [old, next] = [argv[at + 1], argv[at + 2]];
  if (old === undefined || next === undefined || old.startsWith('-') || next.startsWith('-')) {
    throw usage('--pair expected two paths, OLD and NEW');
  }
  const rest = [...argv.slice(0, at), ...argv.slice(at + 3)];
  return { rest, pair: [resolve(context.cwd, old), resolve(context.cwd, next)] };
}

function peersOf(args: ParsedArgs): string[] | undefined {
  const text = args.text('peers');
  if (text === undefined) return undefined;
  return text === 'none' ? [] : text.split(',').filter((name) => name !== '');
}

/** Lines about what goes on, unless they are not wanted. */
function createSay(args: ParsedArgs, context: CliContext): (text: string) => void {
  if (args.flag('json') || args.flag('quiet')) return () => {};
  return (text) => context.stderr.write(text);
}

function eventText(event: BenchEvent): string {
  if (event.type === 'scenario') return `${event.scenario}\n`;
  if (event.type === 'failed') return `  ${event.contender} failed: ${event.reason}\n`;
  const { contender, round, sample } = event;
  const seconds = (sample.wallMs / 1000).toFixed(2);
  return `  round ${round}  ${contender}  ${seconds} s  ${bytesText(sample.peakBytes)}\n`;
}

async function mustBeFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw new OrbweaverError('INPUT_NOT_FOUND', `${path} does not exist`, {}, error);
  });
  if (!found.isFile()) throw new OrbweaverError('INPUT_IS_DIRECTORY', `${path} is no file`);
}

async function readReport(path: string): Promise<BenchReport> {
  await mustBeFile(path);
  try {
    return parseReport(await readFile(path, 'utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OrbweaverError('FORMAT_INVALID', `${path} is no report: ${why}`, {}, error);
  }
}

async function save(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new OrbweaverError('OUTPUT_UNWRITABLE', why, {}, error);
  }
}
