import {
  COMMON,
  COMPUTE,
  type OptionTable,
  type ParsedArgs,
  parseWith,
  tableOf,
  usage,
} from './command.js';
import type { CliContext } from './context.js';

export { type ParsedArgs, usage } from './command.js';

/** For commands that write their help by hand. */
export const COMPUTE_OPTIONS: OptionTable = tableOf(COMPUTE);

/** Strict parse with the common options added. @throws OrbweaverError USAGE */
export function readArgs(args: readonly string[], options: OptionTable): ParsedArgs {
  return parseWith(args, { ...tableOf(COMMON), ...options });
}

/** Endpoint and token from the options, else from the environment. @throws USAGE */
export function serverOf(
  args: ParsedArgs,
  context: CliContext,
): { endpoint: string; token: string | undefined } {
  const { endpoint, token } = maybeServerOf(args, context);
  if (endpoint === undefined) {
    throw usage('no endpoint: pass --endpoint URL or set ORBWEAVER_ENDPOINT');
  }
  return { endpoint, token };
}

/** The same where an endpoint is not needed. @throws USAGE for one that is no URL */
export function maybeServerOf(
  args: ParsedArgs,
  context: CliContext,
): { endpoint: string | undefined; token: string | undefined } {
  const endpoint = args.text('endpoint') ?? (context.env['ORBWEAVER_ENDPOINT'] || undefined);
  if (endpoint !== undefined) checkEndpoint(endpoint);
  return { endpoint, token: args.text('token') ?? (context.env['ORBWEAVER_TOKEN'] || undefined) };
}

function checkEndpoint(endpoint: string): void {
  if (/^https?:\/\/./i.test(endpoint) && URL.canParse(endpoint)) return;
  const guess = `http://${endpoint}`;
  const isHost = /^[^\s/:]+(:\d+)?(\/|$)/.test(endpoint) && URL.canParse(guess);
  throw usage(
    `the endpoint expected a URL such as https://cas.example.com, got "${endpoint}"` +
      (isHost ? `; did you mean ${guess}?` : ''),
  );
}
