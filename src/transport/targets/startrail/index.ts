/** File metadata (Startrail): one PUT to a signed URL, then the wait for hash and CID. */
export type { CidProfile } from './cid.js';
export {
  STARTRAIL_CATEGORIES,
  type StartrailCategory,
  type StartrailOptions,
} from './options.js';
export { createStartrailTarget } from './target.js';
