/** By name, so that a bundle for pages holds this one of the library's hashes and no other. */
export { createSHA256 } from 'hash-wasm';
