import type { OrbweaverSettings } from './contenders.js';
import type { Scenario } from './scenario.js';
import type { Sample } from './types.js';

/** What `runBench` is told. All optional. */
export interface BenchOptions {
  /**
   * Names or groups of built-in scenarios (`upload`, `gateway-rows`, `kernels`), or scenarios of
   * your own. @default all built-in ones; with `files` those about them
   */
  readonly scenarios?: readonly (string | Scenario)[] | undefined;
  /** @default DEFAULT_ROUNDS */
  readonly rounds?: number | undefined;
  /** Bytes of each generated input. @default DEFAULT_SIZE_BYTES */
  readonly sizeBytes?: number | undefined;
  /** Files of `upload-small`. @default DEFAULT_SMALL_FILES */
  readonly smallFileCount?: number | undefined;
  /** Names of the peers that take part; none: only orbweaver. @default all that are found */
  readonly peers?: readonly string[] | undefined;
  /**
   * Files of your own: adds the scenarios `file-…`, or with `server` those `server-…`, which run
   * alone when no others are named.
   */
  readonly files?: readonly string[] | undefined;
  /** A server of your own, which `files` are sent to and read from. */
  readonly server?: BenchServer | undefined;
  /** Two versions of a file, for the scenarios about releases. @default two generated ones */
  readonly pair?: readonly [string, string] | undefined;
  /** How orbweaver is set up. @default as the client does by itself */
  readonly orbweaver?: OrbweaverSettings | undefined;
  /** Where JavaScript peers are looked for first. @default .cache/bench-peers */
  readonly peersDir?: string | undefined;
  /** Python that can import hf_xet. @default ORBWEAVER_BENCH_PYTHON, else the usual places */
  readonly python?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of each thing that begins or ended. */
  readonly onProgress?: ((event: BenchEvent) => void) | undefined;
}

/** A server to measure. It keeps what is uploaded: each run sends a copy that it has never seen. */
export interface BenchServer {
  /** Base URL of its content-addressed store. */
  readonly endpoint: string;
  /** A token that reads and writes. */
  readonly token: string;
  /** Path of a certificate that vouches for it, PEM. @default the built-in authorities */
  readonly caPath?: string | undefined;
}

/** One step of a run. */
export type BenchEvent =
  | { readonly type: 'scenario'; readonly scenario: string }
  | {
      readonly type: 'sample';
      readonly scenario: string;
      readonly contender: string;
      /** From 1. */
      readonly round: number;
      readonly sample: Sample;
    }
  | {
      readonly type: 'failed';
      readonly scenario: string;
      readonly contender: string;
      readonly reason: string;
    };

/** Rounds when none are given: the fewest with a middle. */
export const DEFAULT_ROUNDS = 3;
/** Enough for the start of a process to weigh little. */
export const DEFAULT_SIZE_BYTES: number = 256 * 1024 * 1024;
/** Some 150 MB in all. */
export const DEFAULT_SMALL_FILES = 3000;
/** Smaller inputs measure the start of the process only. */
export const MIN_SIZE_BYTES: number = 1024 * 1024;
