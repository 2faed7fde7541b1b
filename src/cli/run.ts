import { EXIT, OrbweaverError } from '../errors.js';
import { chunkCommand } from './chunk.js';
import type { CliContext, Command } from './context.js';
import { demoCommand } from './demo.js';
import { downloadCommand } from './download.js';
import { estimateCommand } from './estimate.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { inspectCommand } from './inspect.js';
import { failureOf, flush, reportFailure } from './output.js';
import { serveCommand } from './serve.js';
import { uploadCommand } from './upload.js';
import { versionText } from './version.js';

const COMMANDS: readonly Command[] = [
  uploadCommand,
  downloadCommand,
  serveCommand,
  chunkCommand,
  inspectCommand,
  estimateCommand,
  demoCommand,
];

function overview(): string {
  const width = Math.max(...COMMANDS.map((command) => command.name.length));
  const list = COMMANDS.map(
    (command) => `  ${command.name.padEnd(width)}  ${command.summary}`,
  ).join('\n');
  return `orbweaver moves big files by content.

Usage: orbweaver COMMAND [ARGUMENTS] [OPTIONS]

Commands:
${list}

Options:
${COMMON_HELP}
  --version             the version

${EXIT_CODES_HELP}

orbweaver COMMAND --help explains one command.
`;
}

/**
 * Runs one command line (without the node and script parts) and resolves to the exit code. Never
 * throws: failures become a line on standard error.
 */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const [name, ...rest] = argv;
  const end = argv.indexOf('--');
  const options = end < 0 ? argv : argv.slice(0, end);
  const json = options.includes('--json');
  try {
    if (name === '--version' || name === '-v') {
      context.stdout.write(`${versionText()}\n`);
      return EXIT.ok;
    }
    if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
      const asked = COMMANDS.find((command) => command.name === rest[0]);
      (name === undefined ? context.stderr : context.stdout).write(asked?.help ?? overview());
      return name === undefined ? EXIT.usage : EXIT.ok;
    }
    const command = COMMANDS.find((candidate) => candidate.name === name);
    if (command === undefined) {
      throw new OrbweaverError('USAGE', `no command "${name}"; orbweaver --help lists them`);
    }
    if (options.includes('--help') || options.includes('-h')) {
      context.stdout.write(command.help);
      return EXIT.ok;
    }
    return await command.run(rest, context);
  } catch (error) {
    const failure = failureOf(error);
    if (options.includes('--verbose') && error instanceof Error && !json) {
      context.stderr.write(`${error.stack ?? error.message}\n`);
    }
    reportFailure(context.stderr, failure, json);
    return failure.exitCode;
  } finally {
    await Promise.all([flush(context.stdout), flush(context.stderr)]);
  }
}
