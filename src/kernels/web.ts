/** What runs without `node:crypto`, as an entry point of its own for pages. */
export { type Crc64, createCrc64 } from './crc64.js';
export { createSha256s } from './web-sha256.js';
