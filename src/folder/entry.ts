import { OrbweaverError } from '../errors.js';

/**
 * One line of a manifest, read and written. docs/folders.md describes the format:
 *
 *     {"format":"orbweaver-folder","version":1}                                              first line
 *     {"path":"a","type":"folder","mode":493,"mtimeMs":1732000000000}
 *     {"path":"a/b","type":"file","sizeBytes":5,"fileHash":"…","mode":420,"mtimeMs":…}
 *     {"path":"a/c","type":"symlink","target":"b","mtimeMs":…}
 *     {"type":"end","entryCount":3,"sizeBytes":5}                                            last line
 */

/** What every entry has. */
export interface EntryBase {
  /** Relative, with `/` between the parts; names that are not UTF-8 as `decodePathBytes` has them. */
  readonly path: string;
  /** Last change, milliseconds since 1970; a whole number. */
  readonly mtimeMs: number;
}

/** A regular file. */
export interface FileEntry extends EntryBase {
  readonly type: 'file';
  readonly sizeBytes: number;
  /** 64 digits: what a download asks for. */
  readonly fileHash: string;
  /** The nine permission bits. */
  readonly mode: number;
}

/** A folder. What it holds follows it. */
export interface DirectoryEntry extends EntryBase {
  readonly type: 'folder';
  /** The nine permission bits. */
  readonly mode: number;
}

/** A symbolic link. */
export interface SymlinkEntry extends EntryBase {
  readonly type: 'symlink';
  /** What it says, not what that is. */
  readonly target: string;
}

export type FolderEntry = FileEntry | DirectoryEntry | SymlinkEntry;

/** The last line of a manifest. */
export interface ManifestEnd {
  readonly type: 'end';
  readonly entryCount: number;
  /** Sum over all files. */
  readonly sizeBytes: number;
}

/** Version of the format that is written, and the only one that is read. */
export const MANIFEST_VERSION = 1;

/** The first line of every manifest of this version, with its newline: how one is recognised. */
export const MANIFEST_HEADER: string = `{"format":"orbweaver-folder","version":${MANIFEST_VERSION}}\n`;

/** How a manifest of any version begins. */
export const MANIFEST_MAGIC = '{"format":"orbweaver-folder",';

/**
 * Longest line, newline included: a path and a target of 4096 bytes each, every byte escaped with six, and
 * the rest.
 */
export const MAX_LINE_BYTES: number = 64 * 1024;

/** Most bytes of a manifest: some ten million entries. */
export const MAX_MANIFEST_BYTES: number = 2 * 1024 * 1024 * 1024;

/** Most entries of a manifest. */
export const MAX_MANIFEST_ENTRIES = 10_000_000;

/** The nine bits of rwxrwxrwx: set-user-id, set-group-id and the sticky bit are never kept. */
export const MODE_BITS = 0o777;

/** Milliseconds that a `Date` can hold, both ways. */
const MAX_TIME_MS = 8.64e15;

/** The line of an entry, with its newline. Fields are in this order, so that equal folders have equal bytes. */
export function encodeEntry(entry: FolderEntry): string {
  const { path, type, mtimeMs } = entry;
  if (type === 'symlink') {
    return `${JSON.stringify({ path, type, target: entry.target, mtimeMs })}\n`;
  }
  const { mode } = entry;
  if (type === 'folder') return `${JSON.stringify({ path, type, mode, mtimeMs })}\n`;
  const { sizeBytes, fileHash } = entry;
  return `${JSON.stringify({ path, type, sizeBytes, fileHash, mode, mtimeMs })}\n`;
}

/** The last line, with its newline. */
export function encodeEnd({ entryCount, sizeBytes }: Omit<ManifestEnd, 'type'>): string {
  return `${JSON.stringify({ type: 'end', entryCount, sizeBytes })}\n`;
}

/**
 * Reads one line behind the first, without its newline. Fields that are not listed are ignored; names are
 * not judged here.
 *
 * @param line its number, from 1, for messages
 * @throws OrbweaverError `FORMAT_INVALID` for what is no such line, `UNSUPPORTED` for an unknown type
 */
export function parseEntry(text: string, line: number): FolderEntry | ManifestEnd {
  const fields = objectOf(text, line);
  const type = textField(fields, 'type', line);
  if (type === 'end') {
    return {
      type,
      entryCount: integerField(fields, 'entryCount', line, 0, Number.MAX_SAFE_INTEGER),
      sizeBytes: integerField(fields, 'sizeBytes', line, 0, Number.MAX_SAFE_INTEGER),
    };
  }
  if (type !== 'file' && type !== 'folder' && type !== 'symlink') {
    const got = JSON.stringify(type.slice(0, 40));
    const message = `"type" of line ${line} expected "file", "folder" or "symlink", got ${got}`;
    throw new OrbweaverError('UNSUPPORTED', message, { field: 'type', line });
  }
  const path = textField(fields, 'path', line);
  const mtimeMs = integerField(fields, 'mtimeMs', line, -MAX_TIME_MS, MAX_TIME_MS);
  if (type === 'symlink') return { path, type, target: textField(fields, 'target', line), mtimeMs };
  const mode = integerField(fields, 'mode', line, 0, MODE_BITS);
  if (type === 'folder') return { path, type, mode, mtimeMs };
  const fileHash = textField(fields, 'fileHash', line);
  if (!/^[0-9a-f]{64}$/.test(fileHash)) {
    throw invalid('fileHash', line, '64 lower-case hexadecimal digits', fileHash);
  }
  const sizeBytes = integerField(fields, 'sizeBytes', line, 0, Number.MAX_SAFE_INTEGER);
  // Only the empty file has the hash of zeros, and it has no other.
  if ((sizeBytes === 0) !== /^0+$/.test(fileHash)) {
    throw invalid('fileHash', line, 'zeros for an empty file and only for that', fileHash);
  }
  return { path, type, sizeBytes, fileHash, mode, mtimeMs };
}

type Fields = Readonly<Record<string, unknown>>;

function objectOf(text: string, line: number): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw notJson(line, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notJson(line);
  return value as Fields;
}

function textField(fields: Fields, field: string, line: number): string {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (typeof value !== 'string') throw invalid(field, line, 'a text', value);
  return value;
}

function integerField(
  fields: Fields,
  field: string,
  line: number,
  least: number,
  most: number,
): number {
  const value = Object.hasOwn(fields, field) ? fields[field] : undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) {
    // `-0` is 0.
    return value + 0;
  }
  throw invalid(field, line, `a whole number from ${least} to ${most}`, value);
}

function invalid(field: string, line: number, expected: string, got: unknown): OrbweaverError {
  const text =
    typeof got === 'string' || typeof got === 'number' ? JSON.stringify(got) : typeof got;
  const message = `"${field}" of line ${line} of the manifest expected ${expected}, got ${text.slice(0, 100)}`;
  return new OrbweaverError('FORMAT_INVALID', message, { field, line });
}

function notJson(line: number, cause?: unknown): OrbweaverError {
  const message = `line ${line} of the manifest expected an object of JSON, got something else`;
  return new OrbweaverError('FORMAT_INVALID', message, { line }, cause);
}
