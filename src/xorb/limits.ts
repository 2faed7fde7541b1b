import { MAX_CHUNK_BYTES } from '../bytes/index.js';

/** Limits of xorbs: what we write obeys the strictest known server, what we read the widest client. */

/** Header of a chunk record. */
export const RECORD_HEADER_BYTES = 8;

/**
 * Most bytes a xorb of ours may have, counted as raw bytes plus 8 for each chunk: the size on the
 * wire if nothing compressed. The reference counts raw bytes only and so may exceed 64 MiB there.
 */
export const XORB_MAX_BYTES: number = 64 * 1024 * 1024;

/** Most chunks in a xorb, for writers and readers. */
export const XORB_MAX_CHUNKS = 8192;

/** Most payload bytes in one record that a reader takes; origin: the reference client. */
export const RECORD_MAX_PAYLOAD_BYTES: number = 2 * MAX_CHUNK_BYTES;

/** Longest stored footer: version 1 with the most chunks, and the length behind it. */
export const FOOTER_MAX_BYTES: number = 92 + 40 * XORB_MAX_CHUNKS + 4;

/**
 * Most bytes of a xorb that a reader takes: 64 MiB raw, a header for each chunk (a reference xorb
 * of incompressible data) and a footer.
 */
export const XORB_ACCEPT_MAX_BYTES: number =
  XORB_MAX_BYTES + RECORD_HEADER_BYTES * XORB_MAX_CHUNKS + FOOTER_MAX_BYTES;
