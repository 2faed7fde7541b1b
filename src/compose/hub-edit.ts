import type { Source, SourceReader } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { ClientSplice } from './edit.js';
import type { HubBlob } from './hub-functions.js';
import type { HubFile } from './hub-types.js';

/** Files that are others with some bytes replaced, as `@huggingface/hub` has them. */

/** A replacement: the bytes from `start` to `end` of the original give way to `content`. */
export interface HubEdit {
  readonly content: Blob;
  readonly start: number;
  readonly end: number;
}

/** What a file of the store is changed by. */
interface StoredEdit {
  readonly fileHash: string;
  readonly splices: readonly ClientSplice[];
}

const STORED = Symbol('file hash');
const EDIT = Symbol('edit');

/** Notes with a file of a repository where all of it lies. */
export function withStored<T extends HubBlob>(blob: T, fileHash: string): T {
  return Object.assign(blob, { [STORED]: fileHash });
}

/**
 * The file that comes of `original`.
 * @throws RangeError for edits that overlap, or lie outside of it
 */
export function editedFile(
  path: string,
  original: Blob | HubBlob,
  edits: readonly HubEdit[],
): HubFile {
  const ordered = [...edits].sort((a, b) => a.start - b.start || a.end - b.end);
  const pieces: (Blob | HubBlob)[] = [];
  let at = 0;
  for (const { content, start, end } of ordered) {
    const isRange = Number.isSafeInteger(start) && Number.isSafeInteger(end);
    if (!isRange || start < at || end < start || end > original.size) {
      const text = `an edit of "${path}" expected bytes from ${at} to ${original.size}, got ${start} to ${end}`;
      throw new RangeError(text);
    }
    pieces.push(original.slice(at, start), content);
    at = end;
  }
  pieces.push(original.slice(at));
  if (original instanceof Blob) return { path, content: new Blob(pieces as Blob[]) };
  const content = sourceOfPieces(path, pieces);
  const fileHash = (original as { readonly [STORED]?: string })[STORED];
  if (fileHash === undefined) return { path, content };
  const splices = ordered.map(({ content: insert, start, end }) => {
    return { offset: start, deleteBytes: end - start, insert };
  });
  const edit: StoredEdit = { fileHash, splices };
  return Object.assign({ path, content }, { [EDIT]: edit });
}

/** The edit that a file is the result of, where the original lies in the store. */
export function editOf(file: HubFile): StoredEdit | null {
  return (file as { readonly [EDIT]?: StoredEdit })[EDIT] ?? null;
}

const HEAD_BYTES = 64 * 1024;

function sourceOfPieces(name: string, pieces: readonly (Blob | HubBlob)[]): Source {
  const sizeBytes = pieces.reduce((sum, { size }) => sum + size, 0);
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    for (const piece of pieces) {
      // Whoever looks at the begin only does not start a transfer of all.
      const head = await piece.slice(0, HEAD_BYTES).arrayBuffer();
      if (head.byteLength > 0) yield new Uint8Array(head);
      const rest = piece.slice(head.byteLength);
      if (rest.size > 0) yield* rest.stream() as AsyncIterable<Uint8Array>;
    }
  }
  return { name, sizeBytes, reopenable: true, open: async (signal) => readerOf(bytes(), signal) };
}

function readerOf(
  bytes: AsyncGenerator<Uint8Array, void>,
  signal: AbortSignal | undefined,
): SourceReader {
  let rest: Uint8Array = new Uint8Array(0);
  return {
    async read(into) {
      if (signal?.aborted === true) {
        throw new OrbweaverError('ABORTED', 'the upload was cancelled', {}, signal.reason);
      }
      while (rest.length === 0) {
        const { done, value } = await bytes.next();
        if (done === true) return 0;
        rest = value;
      }
      const part = rest.subarray(0, into.length);
      into.set(part);
      rest = rest.subarray(part.length);
      return part.length;
    },
    close: async () => void (await bytes.return()),
  };
}
