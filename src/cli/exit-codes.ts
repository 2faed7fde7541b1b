import { COMMON, optionsHelp } from './command.js';

/** Parts of the help for commands that write it by hand. */

export { EXIT_CODES_HELP, EXIT_CODES_LINE } from './command.js';

/** Options that every command understands. */
export const COMMON_HELP: string = optionsHelp(COMMON);
