import { COMMON, type OptionTable, type ParsedArgs, parseWith, tableOf, usage } from './command.js';
import type { CliContext } from './context.js';

export { type ParsedArgs, usage } from './command.js';

/** For commands that write their help by hand: strict parse with the common options added. @throws OrbweaverError USAGE */
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

/** The same where an endpoint is not needed. */
export function maybeServerOf(
  args: ParsedArgs,
  context: CliContext,
): { endpoint: string | undefined; token: string | undefined } {
  const endpoint = args.text('endpoint') ?? (context.env['ORBWEAVER_ENDPOINT'] || undefined);
  return { endpoint, token: args.text('token') ?? (context.env['ORBWEAVER_TOKEN'] || undefined) };
}
