import { fileURLToPath } from 'node:url';
import type { Source } from '../client/ports.js';
import {
  type UploadInput as BareInput,
  type DiskPace,
  knownSize,
  sourceNow,
  sourceOf,
} from '../io/index.js';

/** An input with a name of its own, or with a SHA-256 that is known already. */
export interface NamedInput {
  /** Name in results and messages. */
  readonly name?: string | undefined;
  readonly data: BareInput | URL;
  /** 64 hexadecimal digits: registered as they are, without computing. */
  readonly sha256?: string | undefined;
}

/**
 * What can be uploaded: a path, `file:` URL, `Uint8Array`, `Blob`, Node or web stream, async iterable,
 * a `Source`, or one of these with a name. Streams and iterables may be of unknown length.
 */
export type UploadInput = BareInput | URL | NamedInput;

/** How inputs are read. */
export interface InputOptions {
  /** Shared by the inputs of one upload, so that small files are read the cheaper way. */
  readonly pace?: DiskPace | undefined;
  /** Files that grow are read up to the size that they had. @default false: that is INPUT_CHANGED */
  readonly upToStartSize?: boolean | undefined;
}

/**
 * Refuses what is no input, before anything is read.
 * @throws TypeError that says which one, and what is expected
 */
export function checkInputs(inputs: readonly UploadInput[]): void {
  for (const [i, input] of inputs.entries()) {
    const data: unknown = isNamed(input) ? input.data : input;
    if (isData(data)) continue;
    const kind =
      data === null ? 'null' : data instanceof URL ? `${data.protocol} URL` : typeof data;
    throw new TypeError(
      `"inputs[${i}]" expected a path, file: URL, Uint8Array, Blob, stream, async iterable or Source, or { data, name } with one of these, got ${kind}`,
    );
  }
}

function isData(data: unknown): boolean {
  if (typeof data === 'string') return true;
  if (typeof data !== 'object' || data === null) return false;
  if (data instanceof URL) return data.protocol === 'file:';
  return (
    data instanceof Uint8Array ||
    data instanceof Blob ||
    'open' in data ||
    'getReader' in data ||
    Symbol.asyncIterator in data
  );
}

/**
 * The source of an input, at once where that can be.
 * @throws OrbweaverError `INPUT_*`; TypeError for anything else; or the promise rejects
 */
export function toSource(input: UploadInput, options: InputOptions = {}): Source | Promise<Source> {
  const data = bareOf(input);
  const sourceOptions = isNamed(input) ? { ...options, name: input.name } : options;
  return sourceNow(data, sourceOptions) ?? sourceOf(data, sourceOptions);
}

/** The data of an input; the path of a `file:` URL. */
export function bareOf(input: UploadInput): BareInput {
  const data = isNamed(input) ? input.data : input;
  return data instanceof URL ? fileURLToPath(data) : data;
}

/** The name that results carry before a source could be made. */
export function inputName(input: UploadInput): string {
  if (isNamed(input) && input.name !== undefined) return input.name;
  const data = bareOf(input);
  if (typeof data === 'string') return data;
  return 'name' in data && typeof data.name === 'string' ? data.name : 'input';
}

/** The SHA-256 that an input brings along. */
export function givenSha256(input: UploadInput): string | undefined {
  return isNamed(input) ? input.sha256 : undefined;
}

/**
 * Bytes of these inputs, counted until there are `enough`: nobody looks at thousands of files in order
 * to learn that they are many. Inputs of unknown size count as none.
 */
export function expectedBytes(inputs: readonly UploadInput[], enough: number): number {
  let bytes = 0;
  for (const input of inputs) {
    if (bytes >= enough) break;
    bytes += knownSize(bareOf(input)) ?? 0;
  }
  return bytes;
}

/** True for an input with a name or SHA-256 of its own. */
export function isNamed(input: UploadInput): input is NamedInput {
  return (
    typeof input === 'object' &&
    input !== null &&
    'data' in input &&
    !(input instanceof Uint8Array) &&
    !('open' in input)
  );
}
