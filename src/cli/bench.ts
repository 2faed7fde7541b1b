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
import { COMPUTE, defineCommand, type ParsedArgs, usage } from './command.js';
import { asUsage, computeOptionsOf } from './compute.js';
import type { CliContext, Command } from './context.js';
import { writeJson } from './output.js';
import { bytesText } from './text.js';

const SCENARIO_WIDTH = Math.max(...listScenarios().map(({ name }) => name.length));
const SCENARIO_LIST = listScenarios()
  .map(({ name, question }) => `  ${name.padEnd(SCENARIO_WIDTH)}  ${question}`)
  .join('\n');

const command: Command = defineCommand({
  usage: ['bench [SCENARIO...] [OPTIONS]', 'bench FILE... [--endpoint URL --token T] [OPTIONS]'],
  about: `Measures whole processes, orbweaver's and those of the peers that are installed, on generated
data in a memory-backed folder. A SCENARIO is a name below or the first word of several; without
any all run, which takes a while: --size and --rounds make it shorter.

With files of your own the scenarios file-... run. With --endpoint those files are sent to and
read from your own server, by the scenarios server-...: it must be a Xet CAS endpoint, and it
keeps what is uploaded, a fresh copy of the files for each contender and round.`,
  options: [
    { name: 'endpoint', value: 'URL', help: 'your own server' },
    { name: 'token', value: 'T', help: 'a token of it that writes', fallback: '$ORBWEAVER_TOKEN' },
    { name: 'ca', value: 'FILE', help: 'certificate that vouches for it, PEM' },
    { name: 'rounds', value: 'N', help: 'runs of each contender', fallback: `${DEFAULT_ROUNDS}` },
    {
      name: 'size',
      value: 'BYTES',
      help: 'of each generated input',
      fallback: bytesText(DEFAULT_SIZE_BYTES),
    },
    {
      name: 'files',
      value: 'N',
      help: 'files of upload-small',
      fallback: `${DEFAULT_SMALL_FILES}`,
    },
    {
      name: 'file',
      value: 'PATH',
      help: 'a file of your own, for one whose name is that of a scenario',
    },
    {
      name: 'pair',
      value: 'OLD NEW',
      help: 'two versions of your own for the scenarios about releases',
      isRepeatable: true,
    },
    {
      name: 'peers',
      value: 'A,B',
      help: `which of ${PEER_NAMES.join(', ')}; "none" for none`,
      fallback: 'all that are found',
    },
    {
      name: 'install-peers',
      help: 'install the JavaScript peers into .cache/bench-peers, and measure only when scenarios or files are named',
    },
    { name: 'out', value: 'FILE', help: 'write the report as JSON' },
    { name: 'html', value: 'FILE', help: 'write the report as a page with plots' },
    { name: 'compare', value: 'FILE', help: 'hold the report against an older one (JSON)' },
    {
      name: 'fail-on-regression',
      help: `exit with ${EXIT.regression} when --compare finds one beyond the noise`,
    },
    ...COMPUTE,
  ],
  notes: `hf_xet takes part when $ORBWEAVER_BENCH_PYTHON, .cache/interop/bin/python or python3 imports it.
--workers, --max-memory and --tier are for orbweaver, not for peers.
With --json the result is the report, with "comparison" added when there is one.

Scenarios:
${SCENARIO_LIST}`,
  run: bench,
});

/** `--pair OLD NEW` has two values, which Node's parser does not know: it is given the option twice. */
export const benchCommand: Command = {
  ...command,
  run: (argv, context) => {
    const at = argv.indexOf('--pair');
    const [old, next] = at < 0 ? [] : argv.slice(at + 1, at + 3);
    if (old === undefined || next === undefined) return command.run(argv, context);
    const pair = [`--pair=${old}`, `--pair=${next}`];
    return command.run([...argv.slice(0, at), ...pair, ...argv.slice(at + 3)], context);
  },
};

async function bench(args: ParsedArgs, context: CliContext): Promise<number> {
  const pair = pairOf(args, context);
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

function pairOf(args: ParsedArgs, context: CliContext): readonly [string, string] | undefined {
  const paths = args.texts('pair');
  const [old, next] = paths.map((path) => resolve(context.cwd, path));
  if (paths.length === 0) return undefined;
  const areTwo = old !== undefined && next !== undefined && paths.length === 2;
  if (!areTwo || paths.some((path) => path.startsWith('-'))) {
    throw usage('--pair expected two paths, OLD and NEW');
  }
  return [old, next];
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
