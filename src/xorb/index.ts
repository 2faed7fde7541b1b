export { type BuiltXorb, XorbBuilder, type XorbBuilderOptions } from './builder.js';
export { decodeFooter, encodeFooter, storedFooterBytes, type XorbFooter } from './footer.js';
export type { XorbInfo } from './info.js';
export {
  FOOTER_MAX_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAX_PAYLOAD_BYTES,
  XORB_ACCEPT_MAX_BYTES,
  XORB_MAX_BYTES,
  XORB_MAX_CHUNKS,
} from './limits.js';
export type { DecodedRecords, DecodeJob, PackJob, RecordKernels } from './ports.js';
export { XorbReader, type XorbReaderOptions } from './reader.js';
export {
  createRecordDecoder,
  DECODE_SCRATCH_BYTES,
  type RecordDecoder,
  type RecordDecoderOptions,
} from './record-decoder.js';
export {
  isFooterIdent,
  type RecordHeader,
  readRecordHeader,
  writeRecordHeader,
} from './record-header.js';
export {
  createRecordPacker,
  type RecordPacker,
  type RecordPackerOptions,
} from './record-packer.js';
export { type RecordTable, RecordWalk, readRecordTable } from './record-table.js';
export {
  checkRecordCount,
  checkXorbLength,
  checkXorbRoot,
  type VerifiedXorb,
} from './root-check.js';
export { readStoredXorb, type StoredXorb } from './stored.js';
export {
  VERIFY_SCRATCH_BYTES,
  type VerifyOptions,
  verifyXorb,
} from './verify.js';
