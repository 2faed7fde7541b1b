export { MAX_CHUNK_BYTES } from './chunk-limit.js';
export { bytesEqual, concatBytes, isZero } from './compare.js';
export { GrowableBytes, GrowableU32, withRoom } from './growable.js';
export { hexDecode, hexEncode, xetHexDecode, xetHexEncode } from './hex.js';
export { ByteReader } from './reader.js';
export { type Sequence, sequenceOf } from './sequence.js';
export {
  bytesEqualInSteps,
  createStepMeter,
  ENTRIES_PER_STEP,
  orderInSteps,
  runSteps,
  sortInSteps,
} from './steps.js';
export { ByteWriter } from './writer.js';
