import { readFile, stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type BenchEvent,
  type BenchReport,
  type BenchServer,
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
import { COMMON_HELP, COMPUTE_HELP, EXIT_CODES_LINE } from './exit-codes.js';
import { writeJson } from './output.js';
import { bytesText } from './text.js';

const SCENARIO_WIDTH = Math.max(...listScenarios().map(({ name }) => name.length));
const SCENARIO_LIST = listScenarios()
  .map(({ name, question }) => `  ${name.padEnd(SCENARIO_WIDTH)}  ${question}`)
  .join('\n');

export const benchCommand: Command = {
  help: `Usage: orbweaver bench [SCENARIO...] [OPTIONS]
       orbweaver bench FILE... [--endpoint URL --token T] [OPTIONS]

Measures whole processes, orbweaver's and those of the peers that are installed, on generated
data in a memory-backed folder. A SCENARIO is a name below or the first word of several; without
any all run, which takes a while: --size and --rounds make it shorter.

With files of your own the scenarios file-... run. With --endpoint those files are sent to and
read from your own server, by the scenarios server-...: it must be a Xet CAS endpoint, and it
keeps what is uploaded, a fresh copy of the files for each contender and round.

Options:
  --endpoint URL        your own server
  --token T             a token of it that writes            [$ORBWEAVER_TOKEN]
  --ca FILE             certificate that vouches for it, PEM
  --rounds N            runs of each contender               [${DEFAULT_ROUNDS}]
  --size BYTES          of each generated input              [${bytesText(DEFAULT_SIZE_BYTES)}]
  --files N             files of upload-small                [${DEFAULT_SMALL_FILES}]
  --file PATH           a file of your own, for one whose name is that of a scenario
  --pair OLD NEW        two versions of your own for the scenarios about releases
  --peers A,B           which peers take part, "none" for none [all that are found]
                        ${PEER_NAMES.join(', ')}
  --install-peers       install the JavaScript peers into .cache/bench-peers, and measure only
                        when scenarios or files are named
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

${EXIT_CODES_LINE}
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
    endpoint: { type: 'string' },
    token: { type: 'string' },
    ca: { type: 'string' },
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
  const [older, out, html, caPath] = [path('compare'), path('out'), path('html'), path('ca')];
  const { scenarios, files } = splitNames(args, context);
  const server = ownServer(args, context, caPath);
  if (server !== undefined && files.length === 0) throw usage('--endpoint expected a FILE as well');
  if (args.flag('fail-on-regression') && older === undefined) {
    throw usage('--fail-on-regression expected --compare FILE');
  }
  // Before the long run: what cannot be read now cannot be read later.
  const inputs = [...files, ...(pair ?? []), ...(caPath === undefined ? [] : [caPath])];
  for (const input of inputs) await mustBeFile(input);
  const before = older === undefined ? null : await readReport(older);
  const say = createSay(args, context);
  if (args.flag('install-peers')) {
    say(`installing peers into ${defaultPeersDir()}\n`);
    await installPeers(defaultPeersDir());
    if (scenarios.length + files.length === 0) return EXIT.ok;
  }

  const report = await asUsage(
    runBench({
      scenarios,
      rounds: args.count('rounds'),
      sizeBytes: args.bytes('size'),
      smallFileCount: args.count('files'),
      peers: peersOf(args),
      files,
      server,
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

/** What is no scenario is a file. */
function splitNames(
  args: ParsedArgs,
  context: CliContext,
): { readonly scenarios: readonly string[]; readonly files: readonly string[] } {
  const known = listScenarios().map(({ name }) => name);
  const isScenario = (name: string): boolean =>
    known.some((one) => one === name || one.startsWith(`${name}-`));
  const named = args.text('file');
  const files = args.positionals.filter((name) => !isScenario(name));
  if (named !== undefined) files.push(named);
  return {
    scenarios: args.positionals.filter(isScenario),
    files: files.map((name) => resolve(context.cwd, name)),
  };
}

function ownServer(
  args: ParsedArgs,
  context: CliContext,
  caPath: string | undefined,
): BenchServer | undefined {
  const endpoint = args.text('endpoint');
  const token = args.text('token');
  if (endpoint === undefined) {
    if (token !== undefined || caPath !== undefined) {
      throw usage('--token and --ca expected --endpoint URL as well');
    }
    return undefined;
  }
  if (!URL.canParse(endpoint) || !/^https?:$/.test(new URL(endpoint).protocol)) {
    throw usage(`--endpoint expected a URL such as http://127.0.0.1:8080, got "${endpoint}"`);
  }
  const known = token ?? context.env['ORBWEAVER_TOKEN'];
  if (known === undefined || known === '') {
    throw usage('--endpoint expected a token: pass --token or set ORBWEAVER_TOKEN');
  }
  return { endpoint, token: known, caPath };
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
    const message = `${path} is neither a scenario nor a file that exists`;
    throw new OrbweaverError('INPUT_NOT_FOUND', message, {}, error);
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
