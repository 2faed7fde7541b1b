/** Entry point `orbweaver/bench`: the benchmark harness as a library. */
export * from './bench/index.js';
