import type { Source } from '../client/ports.js';
import {
  type UploadInput as BareInput,
  knownSize,
  pathOf,
  type SourceOptions,
  sourceNow,
  sourceOf,
} from '../io/index.js';

/** An input with a name of its own, or with a SHA-256 that is known already. */
export interface NamedInput {
  /** Name in results and messages. */
  readonly name?: string | undefined;
  readonly data: BareInput;
  /**
   * The previous version of this one: its file hash of 64 digits, or the path of a local copy. What the
   * store has of it is not sent again. @default none
   */
  readonly base?: string | undefined;
  /** 64 hexadecimal digits: registered as they are, without computing. */
  readonly sha256?: string | undefined;
  /**
   * Cancels this input alone, until the files are being registered: it is in `failed` of the result with
   * `ABORTED`, and the others go on. @default none
   */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What can be uploaded: a path, `file:` URL, `Uint8Array`, `Blob`, Node or web stream, async iterable,
 * a `Source`, or one of these with a name. Streams and iterables may be of unknown length.
 */
export type UploadInput = BareInput | NamedInput;

/** How inputs are read. */
export type InputOptions = Omit<SourceOptions, 'name'>;

/** One input or several, as several. @throws TypeError as {@link checkInputs} does */
export function inputList(inputs: UploadInput | readonly UploadInput[]): readonly UploadInput[] {
  const list = Array.isArray(inputs) ? (inputs as readonly UploadInput[]) : [inputs as UploadInput];
  checkInputs(list);
  return list;
}

/**
 * Refuses what is no input, before anything is read.
 * @throws TypeError that says which one, and what is expected
 */
function checkInputs(inputs: readonly UploadInput[]): void {
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
  if (isNamed(input)) return sourceWith(input.data, { ...options, name: input.name });
  return sourceWith(input, options);
}

function sourceWith(data: BareInput, options: SourceOptions): Source | Promise<Source> {
  return sourceNow(data, options) ?? sourceOf(data, options);
}

/** The name that results carry before a source could be made. */
export function inputName(input: UploadInput): string {
  if (typeof input === 'string' || input instanceof URL) return pathOf(input);
  if (isNamed(input)) return input.name ?? inputName(input.data);
  return 'name' in input && typeof input.name === 'string' ? input.name : 'input';
}

/** The SHA-256 that an input brings along. */
export function givenSha256(input: UploadInput): string | undefined {
  return isNamed(input) ? input.sha256 : undefined;
}

/** The signal of this input alone. */
export function ownSignal(input: UploadInput): AbortSignal | undefined {
  return isNamed(input) ? input.signal : undefined;
}

/** True for an input that can be read a second time, as far as that can be told without looking. */
export function isReopenable(input: UploadInput): boolean {
  const data = isNamed(input) ? input.data : input;
  if (typeof data === 'string' || data instanceof URL) return true;
  return 'reopenable' in data
    ? data.reopenable
    : data instanceof Uint8Array || data instanceof Blob;
}

/** Inputs that are looked at before the others are taken to be like them. */
const LOOKED_AT_COUNT = 32;

/**
 * Bytes of these inputs, about: counted until there are `enough`. Of many inputs the first ones stand
 * for all, because looking at thousands of small files costs more than what depends on it (a fifth of
 * their upload). Inputs of unknown size count as none.
 */
export async function expectedBytes(
  inputs: readonly UploadInput[],
  enough: number,
): Promise<number> {
  const looked = inputs.slice(0, LOOKED_AT_COUNT);
  let bytes = 0;
  for (const input of looked) {
    if (bytes >= enough) return bytes;
    bytes += (await knownSize(isNamed(input) ? input.data : input)) ?? 0;
  }
  return (bytes * inputs.length) / Math.max(1, looked.length);
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
