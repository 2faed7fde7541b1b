import process from 'node:process';
import { setFlagsFromString } from 'node:v8';

/**
 * What the command line asks of V8 beside its defaults, by flags that it was tried with: a version that does not
 * know one would say so on standard error.
 */

/** The last major version of Node that the flags were tried with. */
const LAST_TRIED = 24;

/**
 * Bytecodes that a function has run when V8 of Node 20 compiles it with all means, 4 times the default: of
 * a transfer of 512 MiB that compiling was a tenth of the processor time, more than it gave back. Later
 * versions count calls, and gain nothing.
 */
const INTERRUPT_BUDGET = 270_336;

/**
 * How much the heap may grow beyond what is in use, in per cent, before V8 looks for what is not. By default it is up
 * to three times that: of 300,000 unchanged files 60 MB are in use at most, and 370 MiB were taken; with this 260.
 */
const HEAP_GROWTH = 100;

const [major = 0] = process.versions.node.split('.').map(Number);

/** Before any code that works is loaded. */
export function compileLater(): void {
  if (major === 20) setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}

/** For work that leaves much behind. */
export function collectSooner(): void {
  if (major <= LAST_TRIED) setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH}`);
}
