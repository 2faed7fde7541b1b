import { OrbweaverError } from '../errors.js';
import {
  encodeEnd,
  encodeEntry,
  type FolderEntry,
  MANIFEST_HEADER,
  MAX_LINE_BYTES,
} from './entry.js';
import type { NameRules } from './path-rules.js';
import { TreeCheck } from './tree-check.js';

/**
 * Writes a manifest line by line. It takes only what a reader with the same rules takes.
 *
 * @example
 * const writer = new ManifestWriter('portable');
 * const text = [writer.start(), ...entries.map((entry) => writer.add(entry)), writer.end()].join('');
 */
export class ManifestWriter {
  readonly #tree: TreeCheck;
  #entryCount = 0;
  #sizeBytes = 0;

  constructor(rules: NameRules) {
    this.#tree = new TreeCheck(rules);
  }

  /** The first line. */
  start(): string {
    return MANIFEST_HEADER;
  }

  /** @throws OrbweaverError what `TreeCheck.add` throws; `LIMIT_EXCEEDED` for a line that is too long */
  add(entry: FolderEntry): string {
    this.#tree.add(entry);
    const line = encodeEntry(entry);
    // A unit of UTF-16 is at most three bytes.
    if (
      line.length * 3 > MAX_LINE_BYTES &&
      new TextEncoder().encode(line).length > MAX_LINE_BYTES
    ) {
      const message = `the line of ${JSON.stringify(entry.path.slice(0, 100))} expected at most ${MAX_LINE_BYTES} bytes`;
      throw new OrbweaverError('LIMIT_EXCEEDED', message, { path: entry.path });
    }
    this.#entryCount++;
    if (entry.type === 'file') this.#sizeBytes += entry.sizeBytes;
    return line;
  }

  /** The last line. */
  end(): string {
    return encodeEnd({ entryCount: this.#entryCount, sizeBytes: this.#sizeBytes });
  }
}
