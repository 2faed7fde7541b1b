import { COMMON, type OptionTable, type ParsedArgs, parseWith, tableOf } from './command.js';

export { type ParsedArgs, usage } from './command.js';

/** For commands that write their help by hand: strict parse with the common options added. @throws OrbweaverError USAGE */
export function readArgs(args: readonly string[], options: OptionTable): ParsedArgs {
  return parseWith(args, { ...tableOf(COMMON), ...options });
}
