/** By name, so that a bundle for pages holds this one of the library's hashes and no other. */
export { createCRC64 } from 'hash-wasm';
