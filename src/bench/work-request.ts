import process from 'node:process';
import { text } from 'node:stream/consumers';
import { ownUsage } from './own-usage.js';

/**
 * What a process under measurement is told, as JSON on its standard input, whatever the program: the
 * drivers of all contenders speak this.
 */
export type WorkRequest = ChunkWork | UploadWork | DownloadWork;

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

/** What a process under measurement says at its end, in its last line. */
export interface WorkResult {
  /** Of the files, in the order of the paths, where the program tells. */
  readonly hashes: readonly string[];
}

/** Reads the request that is waiting on standard input. */
export async function readWork(): Promise<{
  readonly work: WorkRequest;
  readonly settings: Readonly<Record<string, unknown>>;
}> {
  return JSON.parse(await text(process.stdin));
}

/** Prints the result, with the own account of time and memory. To be called last. */
export function reportWork(reply: WorkResult): void {
  process.stdout.write(`${JSON.stringify({ ...reply, ...ownUsage() })}\n`);
}
