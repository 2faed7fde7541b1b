import { OrbweaverError } from '../errors.js';
import {
  type FolderEntry,
  MANIFEST_HEADER,
  MANIFEST_MAGIC,
  MAX_LINE_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_MANIFEST_ENTRIES,
  type ManifestEnd,
  parseEntry,
} from './entry.js';
import type { NameRules } from './path-rules.js';
import { TreeCheck } from './tree-check.js';

/** What a manifest held, when all of it was read. */
export interface ManifestTotals {
  readonly entryCount: number;
  readonly fileCount: number;
  readonly folderCount: number;
  readonly symlinkCount: number;
  /** Sum over all files. */
  readonly sizeBytes: number;
  /** The largest file. */
  readonly largestBytes: number;
}

const NEWLINE = 0x0a;
const HEADER_BYTES: Uint8Array = new TextEncoder().encode(MANIFEST_HEADER);
const MAGIC_BYTES: Uint8Array = new TextEncoder().encode(MANIFEST_MAGIC);

/** What to do about a hash that is no folder's. */
const NOT_A_FOLDER = 'Give the hash that the upload of a folder printed.';

/** Bytes of a file that tell whether it is a manifest of any version. */
export const SNIFF_BYTES: number = MAGIC_BYTES.length;

/** True when a file that begins with these bytes, {@link SNIFF_BYTES} or more, says that it is a manifest. */
export function isManifestStart(bytes: Uint8Array): boolean {
  return startsWith(bytes, MAGIC_BYTES);
}

/**
 * Reads a manifest piece by piece and trusts nothing of it: sizes of lines and of the whole are bounded
 * before anything is kept, every name is held against the rules, the order is checked, and what the last
 * line says is counted. Holds one line, and the names of the folders that are open.
 *
 * @example
 * const reader = new ManifestReader('portable');
 * for await (const piece of stream) for (const entry of reader.push(piece)) use(entry);
 * const { fileCount } = reader.finish();
 */
export class ManifestReader {
  readonly #tree: TreeCheck;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** The start of a line whose end has not come. */
  #rest: Uint8Array = new Uint8Array(0);
  #line = 0;
  #readBytes = 0;
  #end: ManifestEnd | null = null;
  #fileCount = 0;
  #folderCount = 0;
  #symlinkCount = 0;
  #sizeBytes = 0;
  #largestBytes = 0;

  /** @param rules which names are taken. */
  constructor(rules: NameRules) {
    this.#tree = new TreeCheck(rules);
  }

  /**
   * Takes the next bytes, and gives the entries that they complete. To be read to its end.
   *
   * @throws OrbweaverError `FORMAT_INVALID` for what is no manifest, `UNSUPPORTED` for another version or an
   * unknown type of entry, `LIMIT_EXCEEDED` for a line, size or count that no folder has, `UNSAFE_PATH` for
   * a name that leads elsewhere
   */
  *push(bytes: Uint8Array): Generator<FolderEntry, void> {
    this.#readBytes += bytes.length;
    if (this.#readBytes > MAX_MANIFEST_BYTES) {
      throw tooMuch('size of the manifest', MAX_MANIFEST_BYTES, this.#readBytes);
    }
    let start = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, start);
      const end = newline < 0 ? bytes.length : newline + 1;
      if (this.#rest.length + end - start > MAX_LINE_BYTES) {
        if (this.#line === 0) throw notManifest();
        throw tooMuch(`line ${this.#line + 1} of the manifest`, MAX_LINE_BYTES, end - start);
      }
      const line = joined(this.#rest, bytes.subarray(start, end));
      if (newline < 0) {
        if (this.#line === 0) checkStart(line);
        this.#rest = line;
        return;
      }
      this.#rest = new Uint8Array(0);
      start = end;
      const entry = this.#readLine(line);
      if (entry !== null) yield entry;
    }
  }

  /**
   * All bytes were pushed.
   * @throws OrbweaverError `TRUNCATED` without a last line; `FORMAT_INVALID`
   */
  finish(): ManifestTotals {
    if (this.#line === 0) throw notManifest();
    if (this.#end === null || this.#rest.length > 0) {
      const message = '"end" of the manifest expected as its last line, got none';
      throw new OrbweaverError('TRUNCATED', message, { line: this.#line });
    }
    return {
      entryCount: this.#entryCount,
      fileCount: this.#fileCount,
      folderCount: this.#folderCount,
      symlinkCount: this.#symlinkCount,
      sizeBytes: this.#sizeBytes,
      largestBytes: this.#largestBytes,
    };
  }

  get #entryCount(): number {
    return this.#fileCount + this.#folderCount + this.#symlinkCount;
  }

  #readLine(line: Uint8Array): FolderEntry | null {
    this.#line++;
    if (this.#line === 1) {
      checkHeader(line);
      return null;
    }
    if (this.#end !== null) {
      const message = `line ${this.#line} of the manifest expected nothing behind "end", got bytes`;
      throw new OrbweaverError('FORMAT_INVALID', message, { line: this.#line });
    }
    const parsed = parseEntry(this.#text(line), this.#line);
    if (parsed.type === 'end') {
      this.#checkEnd(parsed);
      return null;
    }
    this.#count(parsed);
    this.#tree.add(parsed);
    return parsed;
  }

  #text(line: Uint8Array): string {
    try {
      return this.#decoder.decode(line.subarray(0, line.length - 1));
    } catch (cause) {
      const message = `line ${this.#line} of the manifest expected UTF-8, got something else`;
      throw new OrbweaverError('FORMAT_INVALID', message, { line: this.#line }, cause);
    }
  }

  #count(entry: FolderEntry): void {
    if (entry.type === 'folder') this.#folderCount++;
    else if (entry.type === 'symlink') this.#symlinkCount++;
    else {
      this.#fileCount++;
      this.#sizeBytes += entry.sizeBytes;
      this.#largestBytes = Math.max(this.#largestBytes, entry.sizeBytes);
    }
    if (this.#entryCount > MAX_MANIFEST_ENTRIES) {
      throw tooMuch('entries of the manifest', MAX_MANIFEST_ENTRIES, this.#entryCount);
    }
    if (!Number.isSafeInteger(this.#sizeBytes)) {
      throw tooMuch('sum of all files', Number.MAX_SAFE_INTEGER, this.#sizeBytes);
    }
  }

  #checkEnd(end: ManifestEnd): void {
    for (const [field, got] of [
      ['entryCount', this.#entryCount],
      ['sizeBytes', this.#sizeBytes],
    ] as const) {
      if (end[field] === got) continue;
      const message = `"${field}" of the manifest expected ${got}, which is what it holds, got ${end[field]}`;
      throw new OrbweaverError('FORMAT_INVALID', message, {
        field,
        expected: got,
        got: end[field],
      });
    }
    this.#end = end;
  }
}

/** The start of a first line: what is no manifest is refused before its first newline, which may never come. */
function checkStart(line: Uint8Array): void {
  const known = Math.min(line.length, MAGIC_BYTES.length);
  if (!startsWith(line.subarray(0, known), MAGIC_BYTES.subarray(0, known))) throw notManifest();
}

function checkHeader(line: Uint8Array): void {
  if (!isManifestStart(line)) throw notManifest();
  if (line.length === HEADER_BYTES.length && startsWith(line, HEADER_BYTES)) return;
  const got = new TextDecoder().decode(line).trimEnd().slice(0, 100);
  const message = `the first line of the manifest expected ${MANIFEST_HEADER.trimEnd()}, got ${got}`;
  throw new OrbweaverError('UNSUPPORTED', message, { field: 'version' });
}

/** @param file what it is called in the message */
export function notManifest(file = 'the file'): OrbweaverError {
  const message = `${file} expected to be the manifest of a folder, which begins with ${MANIFEST_HEADER.trimEnd()}, got another file`;
  return new OrbweaverError('FORMAT_INVALID', message, { field: 'format', hint: NOT_A_FOLDER });
}

function tooMuch(what: string, expected: number, got: number): OrbweaverError {
  const message = `"${what}" expected at most ${expected}, got ${got}`;
  return new OrbweaverError('LIMIT_EXCEEDED', message, { expected, got });
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b.slice();
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
}
