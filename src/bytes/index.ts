export {
  callback,
  checkOptions,
  flag,
  type OptionCheck,
  optional,
  wholeNumber,
} from './check-options.js';
export { bytesEqual, concatBytes, isZero } from './compare.js';
export { hexDecode, hexEncode, xetHexDecode, xetHexEncode } from './hex.js';
export { ByteReader } from './reader.js';
export { ByteWriter } from './writer.js';
