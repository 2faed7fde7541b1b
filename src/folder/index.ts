export { type ChangedField, comparePaths, diffEntries, type FolderChange } from './diff.js';
export {
  type DirectoryEntry,
  type EntryBase,
  encodeEnd,
  encodeEntry,
  type FileEntry,
  type FolderEntry,
  MANIFEST_HEADER,
  MANIFEST_MAGIC,
  MANIFEST_VERSION,
  MAX_LINE_BYTES,
  MAX_MANIFEST_BYTES,
  MAX_MANIFEST_ENTRIES,
  type ManifestEnd,
  MODE_BITS,
  parseEntry,
  type SymlinkEntry,
} from './entry.js';
export {
  isManifestStart,
  ManifestReader,
  type ManifestTotals,
  notManifest,
  SNIFF_BYTES,
} from './manifest-reader.js';
export { ManifestWriter } from './manifest-writer.js';
export {
  checkLinkTarget,
  checkOwnName,
  checkPath,
  linkTargetReason,
  type NameRules,
  nameKey,
  nativePathReason,
  portablePathReason,
} from './path-rules.js';
export { compareNames, decodePathBytes, encodePathText, isUtf8Path } from './path-text.js';
export { TreeCheck } from './tree-check.js';
