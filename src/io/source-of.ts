import { fileURLToPath } from 'node:url';
import type { Source } from '../client/ports.js';
import { blobSource } from './blob-source.js';
import { bytesSource } from './bytes-source.js';
import { type PathSourceOptions, pathSource, pathSourceNow } from './path-source.js';
import { type StreamInput, streamSource } from './stream-source.js';

/** Everything that can be uploaded: a path or `file:` URL, bytes, a blob, a stream, or a ready source. */
export type UploadInput = string | URL | Uint8Array | Blob | StreamInput | Source;

/** How an input is read; all but the name concern paths only. */
export type SourceOptions = PathSourceOptions;

/**
 * Makes a source of any input.
 *
 * @throws OrbweaverError `INPUT_NOT_FOUND`, `INPUT_IS_DIRECTORY`, `INPUT_UNREADABLE` for a path
 * @throws TypeError for anything else that is not listed
 * @example
 * const sources = await Promise.all(['a.bin', new Blob(['b'])].map((input) => sourceOf(input)));
 */
export async function sourceOf(input: UploadInput, options: SourceOptions = {}): Promise<Source> {
  if (isPath(input)) return pathSource(pathOf(input), options);
  return readySource(input, options);
}

/**
 * The same where nothing has to be waited for: for anything but a path, and for a path while `latency`
 * is quick. Null: use {@link sourceOf}. @throws what it throws
 */
export function sourceNow(input: UploadInput, options: SourceOptions): Source | null {
  if (!isPath(input)) return readySource(input, options);
  return pathSourceNow(pathOf(input), options);
}

function readySource(input: Exclude<UploadInput, string | URL>, { name }: SourceOptions): Source {
  if (input instanceof Uint8Array) return bytesSource(input, name);
  if (typeof input === 'object' && input !== null) {
    if (input instanceof Blob) return blobSource(input, name);
    if (isSource(input)) return name === undefined ? input : renamed(input, name);
    if (Symbol.asyncIterator in input || 'getReader' in input) {
      return streamSource(input, name === undefined ? {} : { name });
    }
  }
  throw new TypeError(
    `"input" expected a path, Uint8Array, Blob, stream, async iterable or Source, got ${kindOf(input)}`,
  );
}

/** True for an input that stands for a file by its name. */
export function isPath(input: UploadInput): input is string | URL {
  return typeof input === 'string' || input instanceof URL;
}

/** @throws TypeError for a URL that is none of a file */
export function pathOf(input: string | URL): string {
  return typeof input === 'string' ? input : fileURLToPath(input);
}

function isSource(input: object): input is Source {
  return 'open' in input && typeof input.open === 'function' && 'reopenable' in input;
}

function renamed(source: Source, name: string): Source {
  const { sizeBytes, reopenable, readNow } = source;
  return {
    name,
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    reopenable,
    open: (signal) => source.open(signal),
    ...(readNow === undefined ? {} : { readNow: (into) => readNow.call(source, into) }),
  };
}

function kindOf(input: unknown): string {
  return input === null ? 'null' : Array.isArray(input) ? 'array' : typeof input;
}
