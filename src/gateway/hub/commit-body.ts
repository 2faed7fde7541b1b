import { type Body, piecesOf } from '../../http/index.js';
import type { BodyAccount } from '../body-memory.js';
import { failure, rejected } from '../failures.js';
import { createInlineFiles, createLfsChanges, textOf, type Value } from './commit-files.js';
import type { Hub } from './hub.js';
import { pathParts } from './names.js';
import type { Change } from './tree-edit.js';

/**
 * The body of a commit: lines of JSON, one for each change, with small files in them. Those are stored
 * while the rest still arrives, some at a time, so that a commit of any length needs little memory.
 */
export interface CommitBody {
  readonly title: string;
  readonly message: string;
  readonly parent: string | undefined;
  readonly changes: readonly Change[];
}

/** A larger file has to go as one of Git LFS; `preupload` says so. */
export const INLINE_MAX_BYTES: number = 10 * 1024 * 1024;
/** Base64 of it, and room for a path. */
const MAX_LINE_BYTES = Math.ceil((INLINE_MAX_BYTES * 4) / 3) + 64 * 1024;
const MAX_CHANGES = 200_000;

/** What a change of a commit takes in memory while it is made. */
export const CHANGE_BYTES = 512;

/**
 * @param held accounts for what is in memory; the caller releases it when the commit is made
 * @throws OrbweaverError 400, 413; 404 for a file of Git LFS that nobody uploaded
 */
export async function readCommitBody(
  hub: Hub,
  body: Body | null,
  { signal, held }: { readonly signal: AbortSignal; readonly held: BodyAccount },
): Promise<CommitBody> {
  const changes: Change[] = [];
  const inline = createInlineFiles(hub, signal, changes);
  const large = createLfsChanges(hub, changes);
  let header: Header | null = null;
  const hold = (lineBytes: number): Promise<void> =>
    held.grow(lineBytes + inline.waitingBytes() + changes.length * CHANGE_BYTES);
  for await (const line of linesOf(body, hold)) {
    const { key, value } = parseLine(line);
    if (key === 'header') {
      header = value;
      continue;
    }
    if (changes.length >= MAX_CHANGES) {
      throw failure(413, 'LIMIT_EXCEEDED', `a commit expected at most ${MAX_CHANGES} changes`);
    }
    const path = pathParts(textOf(value, 'path').replace(/\/$/, ''));
    if (key === 'file') await inline.add(path, contentOf(value));
    else if (key === 'lfsFile') await large.add(path, value);
    else if (key === 'deletedFile' || key === 'deletedEntry')
      changes.push({ kind: 'delete', path });
    else if (key === 'deletedFolder') changes.push({ kind: 'delete-folder', path });
    else throw rejected(`"key" of a line expected file, lfsFile, deletedFile…, got "${key}"`);
  }
  await inline.flush();
  await large.flush();
  if (header === null) throw rejected('a commit expected a line with the key "header"');
  const { summary, description, parentCommit } = header;
  if (typeof summary !== 'string' || summary === '') {
    throw rejected('"summary" of the header expected a text');
  }
  return {
    title: summary.slice(0, 1000),
    message: typeof description === 'string' ? description.slice(0, 65_536) : '',
    parent: typeof parentCommit === 'string' && parentCommit !== '' ? parentCommit : undefined,
    changes,
  };
}

interface Header {
  readonly [name: string]: unknown;
  readonly summary?: unknown;
  readonly description?: unknown;
  readonly parentCommit?: unknown;
}

function parseLine(line: Uint8Array): { readonly key: string; readonly value: Value } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
  } catch (cause) {
    throw rejected('a line of the body expected JSON', cause);
  }
  const { key, value } = (json ?? {}) as { key?: unknown; value?: unknown };
  if (typeof key !== 'string' || typeof value !== 'object' || value === null) {
    throw rejected('a line of the body expected {"key":…,"value":{…}}');
  }
  return { key, value: value as Value };
}

/** Bytes of a file that is in the text itself. @throws OrbweaverError 400, 413 */
export function contentOf(value: Value): Uint8Array {
  const content = textOf(value, 'content');
  const encoding = value['encoding'] ?? 'utf-8';
  if (encoding !== 'base64' && encoding !== 'utf-8') {
    throw rejected(`"encoding" expected base64 or utf-8, got "${String(encoding).slice(0, 40)}"`);
  }
  const bytes = new Uint8Array(Buffer.from(content, encoding));
  if (bytes.length <= INLINE_MAX_BYTES) return bytes;
  throw failure(
    413,
    'LIMIT_EXCEEDED',
    `a file in a commit expected at most ${INLINE_MAX_BYTES} bytes`,
  );
}

/** A line is there as it came, in one piece, as text, as the text in its JSON, and as what that means. */
const COPIES_OF_LINE = 5;

/**
 * Lines of a body; empty ones are passed over.
 * @param hold told how many bytes a line takes, while it arrives; it is not read on before that resolves
 * @throws OrbweaverError 413 for one that is too long
 */
export async function* linesOf(
  body: Body | null,
  hold: (bytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (): Uint8Array => {
    const line =
      parts.length === 1 ? (parts[0] as Uint8Array) : new Uint8Array(Buffer.concat(parts));
    parts = [];
    length = 0;
    return line;
  };
  for await (const piece of piecesOf(body)) {
    await hold((length + piece.length) * COPIES_OF_LINE);
    let from = 0;
    for (let at = piece.indexOf(10); at >= 0; at = piece.indexOf(10, from)) {
      parts.push(piece.subarray(from, at));
      length += at - from;
      const line = take();
      if (line.length > 0) yield line;
      from = at + 1;
    }
    parts.push(piece.subarray(from));
    length += piece.length - from;
    if (length > MAX_LINE_BYTES) {
      throw failure(
        413,
        'LIMIT_EXCEEDED',
        `a line of the body expected at most ${MAX_LINE_BYTES} bytes`,
      );
    }
  }
  const line = take();
  if (line.length > 0) yield line;
}
