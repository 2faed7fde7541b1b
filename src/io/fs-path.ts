import { encodePathText, isUtf8Path } from '../folder/index.js';

/**
 * The path that the system takes for a text: bytes where the text stands for a name that is not UTF-8
 * (src/folder/path-text.ts), else the text itself.
 */
export function fsPath(text: string): string | Buffer {
  if (isUtf8Path(text)) return text;
  const bytes = encodePathText(text);
  return bytes === null ? text : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
