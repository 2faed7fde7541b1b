import { compiled } from '../support/dist.js';

type Run = typeof import('../../src/cli/run.js');

/** As it was built: its threads find their programs, and no test waits for its sources to compile. */
export const { runCli } = (await import(new URL('cli/run.js', compiled()).href)) as Run;
