import { readFileSync } from 'node:fs';
import process from 'node:process';
import { text } from 'node:stream/consumers';

/**
 * What a process under measurement is told, as JSON on its standard input, whatever the program: the
 * drivers of all contenders speak this. Its last line has the `hashes` of the files, in the order of the
 * paths, where the program tells them, and its {@link OwnUsage}.
 */
export type WorkRequest = ChunkWork | UploadWork | DownloadWork | IngestWork;

/** Cut files and hash them, one after another; nothing is sent. */
export interface ChunkWork {
  readonly op: 'chunk';
  readonly paths: readonly string[];
}

/** Upload files in one session, with their SHA-256. */
export interface UploadWork {
  readonly op: 'upload';
  readonly server: ServerTarget;
  readonly paths: readonly string[];
}

/** Rebuild one file, or a range of it. */
export interface DownloadWork {
  readonly op: 'download';
  readonly server: ServerTarget;
  readonly hash: string;
  readonly sizeBytes: number;
  /** Where the bytes go. */
  readonly path: string;
  readonly range: { readonly start: number; readonly end: number } | null;
}

/** Post recorded bodies of xorbs and shards to a gateway of the same process. */
export interface IngestWork {
  readonly op: 'ingest';
  /** The bodies, as a sink keeps them. */
  readonly bodies: string;
  /** The folder of the gateway. */
  readonly data: string;
}

/** Where a server is found. */
export interface ServerTarget {
  /** Base URL of the content-addressed store. */
  readonly endpoint: string;
  /** Base URL of the Hub's endpoints in front of that store, for clients that need them. */
  readonly hubUrl: string;
  readonly token: string;
  /** Certificate that vouches for the store, PEM; null: the built-in ones, or no TLS. */
  readonly caPath: string | null;
}

/** What a process has used so far. */
export interface OwnUsage {
  /** User and system time of all threads. */
  readonly cpuMs: number;
  /** Peak resident memory. */
  readonly peakBytes: number;
}

/** The request that is waiting on standard input. */
export async function readWork<T>(): Promise<T> {
  return JSON.parse(await text(process.stdin));
}

/** Prints the result, with the own account of time and memory. To be called last. */
export function reportWork(result: object): void {
  process.stdout.write(`${JSON.stringify({ ...result, ...ownUsage() })}\n`);
}

/**
 * CPU time and peak memory of this process. On Linux the peak is `VmHWM`: the number of
 * `getrusage` also counts what the parent had resident when it forked.
 */
export function ownUsage(): OwnUsage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  let peakKib = maxRSS;
  try {
    peakKib = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  } catch {
    // No Linux.
  }
  return { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakBytes: peakKib * 1024 };
}
