import type { Writable } from 'node:stream';
import type { ClientOptions, OrbweaverClient } from '../index.js';
import {
  COMPUTE,
  LIMITS,
  NETWORK,
  type OptionSpec,
  type ParsedArgs,
  SERVER,
  TOKEN_FILE,
  TOKEN_URL,
} from './command.js';
import { computeOptionsOf, kernelNote, openClient } from './compute.js';
import type { CliContext } from './context.js';
import { createReporter, type Reporter } from './reporter.js';
import { secretsOf } from './secrets.js';
import { type Settings, serverSettingsOf } from './settings.js';
import { stateFolderOf, stateWarning } from './state.js';

/** Options of every command that opens a client. */
export const CLIENT: readonly OptionSpec[] = [
  ...SERVER,
  TOKEN_FILE,
  TOKEN_URL,
  ...NETWORK,
  ...LIMITS,
  ...COMPUTE,
];

/** What a command that talks to a store works with. */
export interface ServerRun {
  readonly client: OrbweaverClient;
  readonly reporter: Reporter;
}

export interface ServerCommand {
  readonly command: string;
  /** For the bar: "uploading". */
  readonly label: string;
  /** What the bytes on the wire are called: "sent"; null: they are not told. */
  readonly wireLabel: string | null;
  /** Where events go. @default standard output */
  readonly events?: Writable | undefined;
  /** Settings that were looked at already. @default those of a command that needs an endpoint */
  readonly settings?: Settings | undefined;
  /** What it does not finish is remembered. @default false */
  readonly remembers?: boolean | undefined;
  /** What else the client is told. */
  readonly client?: Partial<ClientOptions> | undefined;
}

/** Opens a client as the command line, the environment and the config file say, and closes it at the end. */
export async function withServer(
  args: ParsedArgs,
  context: CliContext,
  command: ServerCommand,
  run: (opened: ServerRun) => Promise<number>,
): Promise<number> {
  const settings = command.settings ?? (await serverSettingsOf(args, context));
  const reporter = createReporter(args, context, {
    command: command.command,
    label: command.label,
    wireLabel: command.wireLabel,
    events: command.events,
    secrets: secretsOf(['--token', settings.tokenText ?? ''], context.env),
  });
  const client = await openClient({
    endpoint: settings.endpoint,
    ...settings.connection,
    ...(command.remembers === true
      ? {
          stateFolder: stateFolderOf(args, context),
          onStateProblem: (error) => reporter.warn(stateWarning(error)),
        }
      : {}),
    ...computeOptionsOf(settings.args),
    ...command.client,
    onRetry: (event) => reporter.retry(event),
  });
  try {
    if (args.flag('verbose')) context.stderr.write(kernelNote(client));
    return await run({ client, reporter });
  } finally {
    reporter.clear();
    await client.close();
  }
}
