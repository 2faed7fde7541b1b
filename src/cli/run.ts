import { EXIT, OrbweaverError } from '../errors.js';
import { type CommandEntry, completionCommand } from './completion.js';
import type { CliContext } from './context.js';
import { COMMON_HELP, EXIT_CODES_HELP } from './exit-codes.js';
import { nearest } from './messages.js';
import { failureOf, flush, outputFailure, reportFailure } from './output.js';
import { masked, secretsOf } from './secrets.js';
import { versionText } from './version.js';

/** Commands by name; the module of each, with all that it needs, is loaded only when it is called. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'upload',
    summary: 'upload files and folders, sending only chunks that the store lacks',
    load: async () => (await import('./upload.js')).uploadCommand,
  },
  {
    name: 'download',
    summary: 'rebuild a file, a range of it, or a folder from the store',
    load: async () => (await import('./download.js')).downloadCommand,
  },
  {
    name: 'ls',
    summary: 'list a stored folder',
    load: async () => (await import('./ls.js')).lsCommand,
  },
  {
    name: 'rm',
    summary: 'delete files of a repository of a Hub',
    load: async () => (await import('./rm.js')).rmCommand,
  },
  {
    name: 'diff',
    summary: 'say what differs between two stored folders',
    load: async () => (await import('./diff.js')).diffCommand,
  },
  {
    name: 'edit',
    summary: 'change a stored file at the cost of the change',
    load: async () => (await import('./edit.js')).editCommand,
  },
  {
    name: 'append',
    summary: 'add to the end of a stored file',
    load: async () => (await import('./edit.js')).appendCommand,
  },
  {
    name: 'serve',
    summary: 'run a gateway over a folder',
    load: async () => (await import('./serve.js')).serveCommand,
  },
  {
    name: 'repo',
    summary: 'make, list and remove the repositories of a store',
    load: async () => (await import('./repo.js')).repoCommand,
  },
  {
    name: 'token',
    summary: 'make a short-lived token for a store',
    load: async () => (await import('./token.js')).tokenCommand,
  },
  {
    name: 'store',
    summary: "the upkeep of a gateway's store: list, count, remove, collect, scrub, copy",
    load: async () => (await import('./store.js')).storeCommand,
  },
  {
    name: 'chunk',
    summary: 'cut a file and print its chunks and their hashes',
    load: async () => (await import('./chunk.js')).chunkCommand,
  },
  {
    name: 'inspect',
    summary: 'explain a xorb or a shard',
    load: async () => (await import('./inspect.js')).inspectCommand,
  },
  {
    name: 'estimate',
    summary: 'say how much of these files would dedup, without sending anything',
    load: async () => (await import('./estimate.js')).estimateCommand,
  },
  {
    name: 'digest',
    summary: 'print every digest of a file from one pass',
    load: async () => (await import('./digest.js')).digestCommand,
  },
  {
    name: 'volumes',
    summary: 'cut a file into volumes, as slices or as a 7z archive',
    load: async () => (await import('./volumes.js')).volumesCommand,
  },
  {
    name: 'transfers',
    summary: 'list, resume or drop unfinished uploads and downloads',
    load: async () => (await import('./transfers.js')).transfersCommand,
  },
  {
    name: 'lfs-agent',
    summary: 'move files of Git LFS by content; started by git-lfs',
    load: async () => (await import('./lfs-agent.js')).lfsAgentCommand,
  },
  {
    name: 'target-server',
    summary: 'run a test server of another upload system',
    load: async () => (await import('./target-server.js')).targetServerCommand,
  },
  {
    name: 'demo',
    summary: 'the whole way on a real file with an embedded gateway',
    load: async () => (await import('./demo.js')).demoCommand,
  },
  {
    name: 'bench',
    summary: 'measure against peers: time, memory, bytes on the wire and in the store',
    load: async () => (await import('./bench.js')).benchCommand,
  },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    load: async () => completionCommand(COMMANDS),
  },
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
  -V, --version         the version

${EXIT_CODES_HELP}

orbweaver COMMAND --help explains one command.
`;
}

/**
 * Runs one command line (without the node and script parts) and resolves to the exit code. Never
 * throws: failures become a line on standard error. What could not be written to standard output is a
 * failure, too.
 */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const { stdout, stderr } = context;
  let outputError: Error | null = null;
  const onOutputError = (error: Error): void => {
    outputError ??= error;
  };
  // The result counts and not what is said about it: nobody need read that.
  const onTalkError = (): void => {};
  stdout.on('error', onOutputError);
  stderr.on('error', onTalkError);
  const json = optionsOf(argv).some((arg) => arg === '--json' || arg === '--json=stream');
  let code = await runCommand(argv, context, json);
  await flush(stdout);
  if (outputError !== null && code === EXIT.ok) {
    const failure = outputFailure(outputError);
    reportFailure(stderr, failure, json);
    code = failure.exitCode;
  }
  await flush(stderr);
  return code;
}

async function runCommand(
  argv: readonly string[],
  context: CliContext,
  json: boolean,
): Promise<number> {
  const [name, ...rest] = argv;
  const options = optionsOf(argv);
  try {
    if (name === '--version' || name === '-V' || name === '-v') {
      context.stdout.write(`${versionText()}\n`);
      return EXIT.ok;
    }
    if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
      const asked = COMMANDS.find((command) => command.name === rest[0]);
      if (name === 'help' && rest[0] !== undefined && asked === undefined)
        throw unknownName(rest[0]);
      (name === undefined ? context.stderr : context.stdout).write(
        asked === undefined ? overview() : (await asked.load()).help,
      );
      return name === undefined ? EXIT.usage : EXIT.ok;
    }
    const entry = COMMANDS.find((candidate) => candidate.name === name);
    if (entry === undefined) {
      throw unknownName(name);
    }
    const command = await entry.load();
    if (options.includes('--help') || options.includes('-h')) {
      context.stdout.write(command.help);
      return EXIT.ok;
    }
    return await command.run(rest, context);
  } catch (error) {
    const secrets = secretsOf(argv, context.env);
    const thrown = failureOf(error, COMMANDS.find((entry) => entry.name === name)?.name);
    const failure = { ...thrown, message: masked(thrown.message, secrets) };
    if (options.includes('--verbose') && !json) {
      context.stderr.write(masked(causesText(error), secrets));
    }
    reportFailure(context.stderr, failure, json);
    return failure.exitCode;
  }
}

function unknownName(name: string): OrbweaverError {
  const isOption = name.startsWith('-');
  const names = isOption ? ['--version', '--help'] : COMMANDS.map((command) => command.name);
  const guess = nearest(name, names);
  const what = isOption
    ? `orbweaver expected a command before the option ${name}`
    : `there is no command "${name}"`;
  return new OrbweaverError(
    'USAGE',
    guess === undefined ? what : `${what}; did you mean ${guess}?`,
  );
}

/** What stands before `--`. */
function optionsOf(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}

/** An error and its causes, with what is known of each. */
function causesText(error: unknown): string {
  const lines: string[] = [];
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; depth++) {
    lines.push(`${depth === 0 ? '' : 'caused by '}${cause.stack ?? cause.message}`);
    const fields = 'fields' in cause ? JSON.stringify(cause.fields) : '{}';
    if (fields !== '{}') lines.push(`    ${fields}`);
    cause = cause.cause;
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
