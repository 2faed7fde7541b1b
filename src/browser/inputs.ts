import type { Source } from '../client/ports.js';
import { blobSource, bytesSource, streamSource } from '../io/web.js';
import type { BrowserInput, BrowserInputData, BrowserNamedInput } from './types.js';

/** One input or several, as several. @throws TypeError that says which one is none, and what is expected */
export function inputList(
  inputs: BrowserInput | readonly BrowserInput[],
): readonly BrowserNamedInput[] {
  const list = Array.isArray(inputs)
    ? (inputs as readonly BrowserInput[])
    : [inputs as BrowserInput];
  return list.map((input, i) => {
    const named = isNamed(input) ? input : { data: input };
    const data: unknown = named.data;
    if (isData(data)) return named;
    const kind = data === null ? 'null' : typeof data;
    throw new TypeError(
      `"inputs[${i}]" expected a File, Blob, Uint8Array, stream, async iterable or Source, or { data, name } with one of these, got ${kind}`,
    );
  });
}

function isNamed(input: BrowserInput): input is BrowserNamedInput {
  return (
    typeof input === 'object' &&
    input !== null &&
    'data' in input &&
    !(input instanceof Uint8Array) &&
    !('open' in input)
  );
}

function isData(data: unknown): data is BrowserInputData {
  if (typeof data !== 'object' || data === null) return false;
  return (
    data instanceof Uint8Array ||
    data instanceof Blob ||
    'open' in data ||
    'getReader' in data ||
    Symbol.asyncIterator in data
  );
}

/** The name that results carry: the given one, that of a `File` or a source, or `input`. */
export function nameOf({ name, data }: BrowserNamedInput): string {
  if (name !== undefined) return name;
  return 'name' in data && typeof data.name === 'string' ? data.name : 'input';
}

/** Bytes, as far as they are known before reading. */
export function sizeOf({ data }: BrowserNamedInput): number | undefined {
  if (data instanceof Blob) return data.size;
  if (data instanceof Uint8Array) return data.length;
  return 'open' in data ? data.sizeBytes : undefined;
}

/** True for an input that can be read a second time. */
export function isReopenable({ data }: BrowserNamedInput): boolean {
  if ('reopenable' in data) return data.reopenable;
  return data instanceof Uint8Array || data instanceof Blob;
}

export function sourceOf(input: BrowserNamedInput): Source {
  const { data } = input;
  const name = nameOf(input);
  if (data instanceof Uint8Array) return bytesSource(data, name);
  if (data instanceof Blob) return blobSource(data, name);
  if ('open' in data) return { ...data, name, open: (signal) => data.open(signal) };
  return streamSource(data, { name });
}
