import { stat } from 'node:fs/promises';
import type { Source } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { bytesSource } from '../io/index.js';
import type { HubFile } from './hub-types.js';
import { toSource, type UploadInput } from './input.js';

/** A file whose size and first bytes are known. */
export interface LookedAt {
  readonly file: HubFile;
  readonly source: Source;
  readonly sizeBytes: number;
  readonly sample: Uint8Array;
}

/**
 * Looks at a file that is to be committed.
 * @param sampleBytes how much of its begin is read; 0: it is not opened
 * @throws OrbweaverError `INPUT_*`; `USAGE` without a size
 */
export async function lookAt(
  file: HubFile,
  sampleBytes: number,
  signal: AbortSignal,
): Promise<LookedAt> {
  const found = await toSource({ name: file.path, data: dataOf(file.content) });
  // Empty files have no size before they are read: those of `/proc` claim to be empty, too.
  const isEmpty =
    found.sizeBytes === undefined && found.reopenable && (await hasEnded(found, signal));
  const source = isEmpty ? bytesSource(new Uint8Array(0), found.name) : found;
  const { sizeBytes } = source;
  if (sizeBytes === undefined || !source.reopenable) {
    throw new OrbweaverError(
      'USAGE',
      `"${file.path}" expected content of known size that can be read twice, such as a path or a Blob`,
    );
  }
  const count = Math.min(sampleBytes, sizeBytes);
  const sample = count === 0 ? new Uint8Array(0) : await bytesOf(source, count, signal, true);
  const sha256 = file.sha256?.toLowerCase();
  return { file: { ...file, sha256 }, source, sizeBytes, sample };
}

async function hasEnded(source: Source, signal: AbortSignal): Promise<boolean> {
  const reader = await source.open(signal);
  try {
    return (await reader.read(new Uint8Array(1))) === 0;
  } finally {
    await reader.close();
  }
}

function dataOf(content: UploadInput): Exclude<UploadInput, { readonly data: unknown }> {
  if (typeof content === 'object' && content !== null && 'data' in content) {
    throw new TypeError('"content" expected a path, bytes, a Blob or a Source, got { data }');
  }
  return content as Exclude<UploadInput, { readonly data: unknown }>;
}

/** When a file was changed, as far as anybody says. */
export async function changedMs({ content, mtimeMs }: HubFile): Promise<number | undefined> {
  if (mtimeMs !== undefined) return mtimeMs;
  if (typeof content === 'string' || content instanceof URL) return (await stat(content)).mtimeMs;
  return content instanceof File ? content.lastModified : undefined;
}

/** The first `count` bytes of a source, which are all of it without `isPart`. */
export async function bytesOf(
  source: Source,
  count: number,
  signal: AbortSignal,
  isPart = false,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  const reader = await source.open(signal);
  try {
    let at = 0;
    while (at < count) {
      const read = await reader.read(bytes.subarray(at));
      if (read === 0) break;
      at += read;
    }
    // The end is asked for, too: there a file that has changed is told.
    if (at === count && !isPart) await reader.read(new Uint8Array(1));
    if (at < count) throw changedInput(source.name, count, at);
    return bytes;
  } finally {
    await reader.close();
  }
}

/** A file that has become shorter. */
export function changedInput(name: string, expected: number, got: number): OrbweaverError {
  return new OrbweaverError('INPUT_CHANGED', `"${name}" expected ${expected} bytes, got ${got}`, {
    path: name,
  });
}
